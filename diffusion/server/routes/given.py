"""What routes are given: the server's parts, and the user of a request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from diffusion.server.access.users import User
from diffusion.server.errors import ForbiddenError
from diffusion.server.services import Services

__all__ = ["Admin", "CurrentUser", "Parts"]


# These are coroutines, as FastAPI runs plain functions on a thread, for which each request would
# wait several times.
async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _user(request: Request) -> User:
    """Return the user whom `AccessControl` found."""
    user: User = request.scope["user"]
    return user


async def _admin(request: Request) -> User:
    user = await _user(request)
    if not user.admin:
        raise ForbiddenError(f"{user.name} lacks the scope admin, which this needs")
    return user


Parts = Annotated[Services, Depends(_services)]
CurrentUser = Annotated[User, Depends(_user)]
Admin = Annotated[User, Depends(_admin)]
