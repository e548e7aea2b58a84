"""A browser's way in where keys are asked for: a key is given once in a form, and a cookie stands for it from then on.

No script, no server-side session: the cookie names the key and is signed, so it dies with the key.
"""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from khung.api.access import COOKIE, LOGIN_S
from khung.api.routes.pages import local, page
from khung.errors import AccessDenied

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
MAX_FORM = 4096  # bytes


@router.get("/login")
def login_page(request: Request, next: Annotated[str, Query(max_length=4096)] = "/") -> Response:
    """Where a key is given."""
    return page(request, "login.html", here="login", next=local(next), refused="")


@router.post("/login", max_body_size=MAX_FORM)
async def login(request: Request) -> Response:
    """Check the key, set the cookie, go on to where they wanted to go."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    wanted, key = local(form.get("next", ["/"])[0]), form.get("key", [""])[0]
    try:
        token = request.app.state.access.login(request.scope, key)
    except AccessDenied as error:
        answer = page(request, "login.html", here="login", next=wanted, refused=error.message)
        answer.status_code = 401
        return answer
    to = RedirectResponse(wanted, 303, {"Cache-Control": "no-store"})
    secure = request.url.scheme == "https"
    to.set_cookie(COOKIE, token, max_age=LOGIN_S, httponly=True, samesite="lax", secure=secure)
    return to


@router.post("/logout", max_body_size=MAX_FORM)
def logout() -> Response:
    to = RedirectResponse("/login", 303, {"Cache-Control": "no-store"})
    to.delete_cookie(COOKIE)
    return to
