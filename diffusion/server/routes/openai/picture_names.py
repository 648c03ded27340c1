"""Names of pictures that are served for an hour: signed, and no paths.

A name says which picture of which job it is, in which form, and until when. Only this process knows
the key, so that nobody makes such a name and none outlives a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final

from diffusion.server.errors import NotFoundError

__all__ = ["LIFETIME", "PictureName"]

LIFETIME: Final = 3600
"""Seconds that a name is good for, as OpenAI's are."""

_KEY: Final = secrets.token_bytes(32)
_FORM = re.compile(r"([0-9a-f]{24})-(\d{1,6})-(\d{1,3})-(\d{1,12})-([0-9a-f]{32})\.(png|jpeg|webp)")


@dataclass(frozen=True)
class PictureName:
    """A picture of a job as a file of a ``kind`` and ``quality``, until ``expires`` (Unix time)."""

    job: str
    number: int
    kind: str
    quality: int
    expires: int

    @property
    def text(self) -> str:
        """The name as it stands in a URL."""
        return f"{self._facts}-{self._signature}.{self.kind}"

    @property
    def _facts(self) -> str:
        return f"{self.job}-{self.number}-{self.quality}-{self.expires}"

    @property
    def _signature(self) -> str:
        message = f"{self._facts}.{self.kind}".encode()
        return hmac.new(_KEY, message, hashlib.sha256).hexdigest()[:32]

    @classmethod
    def read(cls, text: str) -> PictureName:
        """Return the name of a text. Raises `NotFoundError` for one that is not ours, or is old."""
        found = _FORM.fullmatch(text)
        if found is not None:
            name = cls(found[1], int(found[2]), found[6], int(found[3]), int(found[4]))
            signed = hmac.compare_digest(name.text, text)
            if signed and name.expires > time.time():
                return name
        raise NotFoundError("this picture's address is not known, or older than an hour")
