"""What routes are given: the server's parts, and the user of a request."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from diffusion.server.access.users import User
from diffusion.server.errors import ForbiddenError
from diffusion.server.services import Services

__all__ = ["Admin", "CurrentUser", "Parts"]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _user(request: Request) -> User:
    """Return the user whom `AccessControl` found."""
    user: User = request.scope["user"]
    return user


def _admin(request: Request) -> User:
    user = _user(request)
    if not user.admin:
        raise ForbiddenError(f"{user.name} lacks the scope admin, which this needs")
    return user


Parts = Annotated[Services, Depends(_services)]
CurrentUser = Annotated[User, Depends(_user)]
Admin = Annotated[User, Depends(_admin)]
