"""``/api/v1/session``: a browser signs in with a token, and gets a cookie for it."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from diffusion.server.access.sessions import (
    COOKIE,
    SESSION_SECONDS,
    name_of_session,
    session_end,
)
from diffusion.server.access.users import User
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/session", tags=["session"])


@router.get("")
async def show_session(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """Tell who the user is, and whether the server has users at all."""
    return _session(services, user)


@router.post("")
async def sign_in(
    request: Request, services: Parts, user: CurrentUser, response: Response
) -> Mapping[str, object]:
    """Give a browser a cookie for thirty days; send the token as ``Authorization: Bearer``.

    A cookie gets no new one, so that it ends.
    """
    if services.credentials is not None and "session" not in request.scope:
        response.set_cookie(
            COOKIE,
            services.credentials.session_for(user),
            max_age=SESSION_SECONDS,
            # Not a field of the schema: browsers alone set it.
            secure=request.headers.get("origin", "").startswith("https:"),
            httponly=True,
            samesite="strict",
        )
    return _session(services, user)


@router.delete("")
async def sign_out(
    request: Request, services: Parts, user: CurrentUser, response: Response
) -> Mapping[str, object]:
    """Take the cookie back; nobody who has a copy of it is let in any more."""
    cookie, credentials = request.scope.get("session"), services.credentials
    if cookie is not None and credentials is not None:
        name, history = name_of_session(cookie), services.history
        credentials.forget_sessions([name])
        await history.do(history.end_session, name, session_end(cookie) or 0)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return _session(services, user)


def _session(services: Services, user: User) -> Mapping[str, object]:
    return {"user": user.name, "admin": user.admin, "users": services.credentials is not None}
