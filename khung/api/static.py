"""The screens' scripts and styles. An address that carries its content's hash is kept for ever; any other is asked for anew.

Modules import each other without a hash, so a browser that kept them on a guess could mix two versions of khung.
"""

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope


class Static(StaticFiles):
    """Starlette's, with an explicit Cache-Control."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        named = scope["query_string"].startswith(b"v=")
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if named else "no-cache"
        return answer
