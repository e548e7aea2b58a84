"""The routes, a file a subject. Each is thin: take the checked request, ask a room below, present the answer."""
