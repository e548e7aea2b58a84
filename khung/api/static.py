"""The screens' scripts and styles. Under the version of all of them together they are kept for ever; else they are asked for anew.

The version stands in the path, so that the modules which import each other by relative names stay within one version of khung.
"""

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from khung.web.render import static_version


class Static(StaticFiles):
    """Starlette's, with a version in the path and an explicit Cache-Control."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        version, _, name = path.partition("/")
        named = name and version.startswith("v-")
        answer = await super().get_response(name if named else path, scope)
        # Another khung's version gets what is here, but not for ever: a proxy must not keep it under that name.
        ours = named and version == f"v-{static_version()}"
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if ours else "no-cache"
        return answer
