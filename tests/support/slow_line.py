"""A slow line between an application and its reader: pages arrive in pieces, and a browser shows each before the next."""

import asyncio

PIECES = 40
PAUSE_S = 0.05  # some frames of the screen


def slow_line(app):
    """`app`, an ASGI application, its HTML pages in `PIECES` pieces; everything else as it comes."""

    async def answer(scope, receive, send):
        # Uncompressed: a browser can show no half of a compressed page.
        scope = scope | {"headers": [pair for pair in scope.get("headers", ()) if pair[0] != b"accept-encoding"]}
        is_page = False

        async def in_pieces(message):
            nonlocal is_page
            if message["type"] == "http.response.start":
                is_page = dict(message["headers"]).get(b"content-type", b"").startswith(b"text/html")
            elif is_page and (body := message.get("body")):
                size = -(-len(body) // PIECES)
                for start in range(0, len(body), size):
                    await send({"type": "http.response.body", "body": body[start : start + size], "more_body": True})
                    await asyncio.sleep(PAUSE_S)
                message = message | {"body": b""}
            await send(message)

        await app(scope, receive, in_pieces if scope["type"] == "http" else send)

    return answer
