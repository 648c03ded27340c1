"""Users: their names, tokens and scopes, from a file that only its owner can read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
import sys
import time
import tomllib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diffusion.server.access.sessions import name_of_session, session_end, sign_session
from diffusion.server.errors import BusyError, ConfigurationError, NotSignedInError

__all__ = ["LOCAL", "SCOPES", "Credentials", "User", "create_users_file"]

SCOPES: Final = ("generate", "admin")
TRIES: Final = 10
TRY_SECONDS: Final = 60.0
MOST_ADDRESSES: Final = 10_000


@dataclass(frozen=True)
class User:
    """A user. ``admin`` may also load models and see the jobs of all."""

    name: str
    admin: bool


LOCAL: Final = User("local", admin=True)
"""Everybody, where the server is for this machine alone and has no users."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(pattern=r"^[\w.@-]{1,64}$")
    token: str = Field(min_length=20, max_length=200, pattern=r"^[!-~]+$")
    scopes: list[str] = Field(default=["generate"], min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    users: list[_Entry] = Field(min_length=1)


class Credentials:
    """The users of a file, found by token. Wrong tokens are slowed down by address.

    Raises `ConfigurationError` for a file that others can read, or that says something else.
    """

    def __init__(self, path: Path) -> None:
        entries = _read_entries(path)
        self._users: Sequence[tuple[bytes, User]] = [
            (_digest(entry.token), User(entry.name, "admin" in entry.scopes)) for entry in entries
        ]
        self._tries: dict[str, deque[float]] = {}
        self._ended_sessions: set[str] = set()

    def find(self, authorization: str, address: str) -> User:
        """Return the user of an ``Authorization`` header: Bearer, or Basic with a user's name.

        Raises `NotSignedInError`, and `BusyError` after ten wrong tokens of an address a minute.
        """
        tries = self._tries.setdefault(address, deque())
        now = time.monotonic()
        while tries and tries[0] < now - TRY_SECONDS:
            tries.popleft()
        if len(tries) >= TRIES:
            raise BusyError("too many wrong tokens from this address; wait a minute", 60)
        user = self._match(*_read_header(authorization))
        if user is not None:
            if not tries:
                del self._tries[address]
            return user
        if authorization.strip():
            tries.append(now)
        if not tries or len(self._tries) > MOST_ADDRESSES:
            self._tries.pop(address, None)
        raise NotSignedInError("sign in: send 'Authorization: Bearer TOKEN', or Basic NAME:TOKEN")

    def session_for(self, user: User) -> str:
        """Return the cookie that stands for a user's token."""
        return next(sign_session(user.name, digest) for digest, each in self._users if each == user)

    def find_by_session(self, cookie: str) -> User | None:
        """Return the user of a browser's session; None where it has ended or is not ours."""
        ends = None if name_of_session(cookie) in self._ended_sessions else session_end(cookie)
        found = None
        for digest, user in self._users if ends is not None else ():
            if hmac.compare_digest(sign_session(user.name, digest, ends), cookie):
                found = user
        return found

    def forget_sessions(self, names: Iterable[str]) -> None:
        """Let sessions end whose users signed out; by `name_of_session`."""
        self._ended_sessions.update(names)

    def _match(self, name: str | None, token: str) -> User | None:
        """Return the user of a token, in a time that does not depend on which one it is."""
        given, found = _digest(token), None
        for digest, user in self._users:
            if hmac.compare_digest(given, digest) and name in (None, user.name):
                found = user
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _read_header(authorization: str) -> tuple[str | None, str]:
    """Return the name, None where there is none, and the token of a header."""
    kind, _, value = authorization.strip().partition(" ")
    if kind.lower() == "bearer":
        return None, value.strip()
    if kind.lower() == "basic":
        try:
            name, _, token = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return "", ""
        return name, token
    return "", ""


def _read_entries(path: Path) -> list[_Entry]:
    """Return the users of a file. Raises `ConfigurationError`, whose text never has a token."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if sys.platform != "win32" and mode & 0o077:
                message = f"{path} can be read by others (mode {mode:o}): chmod 600 {path}"
                raise ConfigurationError(message)
            content: Mapping[str, object] = tomllib.load(file)
    except OSError as error:
        hint = f"'avila serve --new-users {path}' makes one"
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}; {hint}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML; see docs/server.md") from error
    try:
        entries = _File.model_validate(content).users
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg'].lower()}"
            for each in error.errors(include_input=False)
        )
        raise ConfigurationError(f"{path}: {places}") from error
    _check_entries(path, entries)
    return entries


def _check_entries(path: Path, entries: list[_Entry]) -> None:
    for entry in entries:
        unknown = set(entry.scopes) - set(SCOPES)
        if unknown:
            message = f"{path}: scopes of {entry.name} must be among generate and admin"
            raise ConfigurationError(message)
    for what in ("name", "token"):
        if len({getattr(entry, what) for entry in entries}) < len(entries):
            raise ConfigurationError(f"{path}: two users have the same {what}")


def create_users_file(path: Path) -> None:
    """Write a file with one user, ``admin``, and a new token. Raises `ConfigurationError`."""
    token = secrets.token_urlsafe(32)
    text = f'[[users]]\nname = "admin"\ntoken = "{token}"\nscopes = ["generate", "admin"]\n'
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
