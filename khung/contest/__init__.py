"""The contest's door: a client for DRES (Video Browser Showdown, finals of the HCMC AI Challenge) and the AI Challenge's files.

`clock` frame ↔ millisecond · `submission` what is sent, verified before · `team` the answer list that operators share ·
`review` a draft against that list · `wire`, `transport`, `dres` the server's replies, one request, its client · `sending` one
answer to the server, once · `sessions` who is logged in · `logs` query and result logs · `aic` answer files and map-keyframes.

The way of an answer::

    team = Team(settings.contest_path)
    sessions = Sessions(settings.contest, team)            # one of each a process
    token, seat = await sessions.login(name, password)     # the token goes into an HttpOnly cookie
    seat = await sessions.seat(token)                      # every later request
    now = await seat.dres.task_now(seat.evaluation_id)
    draft = prepare("KIS", [Pick(video, frame_index, pts_ms)], rules=settings.contest.rules)
    notices = draft.notices + review(draft, team.entries(now.evaluation_id, now.key))
    entry = team.propose(now, draft, seat.username)
    entry = await send(seat.dres, team, entry.id, seat.username)

What does not live here: searching, routes and pages. khung.api calls these and turns errors into HTTP answers.
"""
