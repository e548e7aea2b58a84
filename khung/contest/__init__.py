"""The contest's door: a client for DRES (Video Browser Showdown, finals of the HCMC AI Challenge) and the AI Challenge's files.

`clock` frame ↔ millisecond · `submission` what is sent, verified before · `team` the answer list that operators share ·
`wire`, `dres` the server's replies and its client · `sending` one answer to the server, once · `sessions` who is logged in ·
`logs` query and result logs · `aic` answer files and map-keyframes.

What does not live here: searching, routes and pages. khung.api calls these and turns errors into HTTP answers.
"""
