"""A scanner for the one JSON object that a safetensors header may hold.

A general JSON reader would build whatever tree the text asks for. This one refuses the first wrong
byte, so that a small file cannot make a large structure.
"""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.errors import FilePath, ModelFormatError, quote

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"([^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+)"')
_INTEGER = re.compile(rb"(?:0|[1-9][0-9]{0,19}+)(?![0-9.eE])")
_SCALAR = re.compile(rb"-?(?:0|[1-9][0-9]{0,17}+)(?![0-9.eE])|true|false|null")


class Scanner:
    """A cursor over the header's bytes; ``where`` names the part being read in errors."""

    def __init__(self, text: bytes, file: FilePath) -> None:
        self._text = text
        self._file = file
        self._at = 0
        self.where = "header"

    def fail(self, reason: str, hint: str = DOWNLOAD_AGAIN, field: str = "") -> NoReturn:
        """Raise ``ModelFormatError`` for the part being read, or a field of it."""
        where = f"{self.where}: {field}" if field else self.where
        raise ModelFormatError(self._file, where, reason, hint)

    def take(self, token: bytes) -> bool:
        """Step over blanks, then over ``token`` if it comes next. Tell whether it did."""
        if not self._text.startswith(token, self._at):
            self._skip_blanks()
            if not self._text.startswith(token, self._at):
                return False
        self._at += len(token)
        return True

    def take_match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Step over what a pattern fits, if it fits what comes next; return it."""
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found

    def expect(self, token: bytes, field: str = "") -> None:
        """Step over ``token``, which must come next."""
        if not self.take(token):
            found = self._text[self._at : self._at + 8]
            found_text = quote(found.decode("latin-1")) if found else "its end"
            reason = f"must have '{token.decode()}' at byte {self._at}, got {found_text}"
            self.fail(reason, field=field)

    def read_string(self, field: str = "") -> str:
        """Read a JSON string: valid UTF-8, valid escapes, no half of a surrogate pair."""
        self._skip_blanks()
        match = _STRING.match(self._text, self._at)
        if match is None:
            self.fail(f"must have a string at byte {self._at}, got another value", field=field)
        self._at = match.end()
        try:
            text = match[1].decode("utf-8")
            if "\\" in text:
                text = str(json.loads(f'"{text}"'))
                text.encode("utf-8")
        except ValueError:
            reason = f"must have valid UTF-8 strings, got another before byte {self._at}"
            self.fail(reason, field=field)
        return text

    def read_integer(self, field: str) -> int:
        """Read an integer from 0 to 2**64 - 1 in plain digits."""
        self._skip_blanks()
        match = _INTEGER.match(self._text, self._at)
        if match is None or int(match[0]) >= 2**64:
            self.fail("must hold integers from 0 to 2**64 - 1", field=field)
        self._at = match.end()
        return int(match[0])

    def read_integers(self, field: str, most: int) -> tuple[int, ...]:
        """Read an array of at most ``most`` integers."""
        self.expect(b"[", field)
        if self.take(b"]"):
            return ()
        found = [self.read_integer(field)]
        while not self.take(b"]"):
            self.expect(b",", field)
            found.append(self.read_integer(field))
            if len(found) > most:
                self.fail(f"must hold at most {most} numbers, got more", field=field)
        return tuple(found)

    def members(self, where: str) -> Iterator[str]:
        """Yield the keys of an object, no key twice; the caller reads each value."""
        seen: set[str] = set()
        self.expect(b"{")
        if self.take(b"}"):
            return
        while True:
            key = self.read_string()
            if key in seen:
                self.fail(f"names in the {where} must be unique, got {quote(key)} twice")
            seen.add(key)
            self.expect(b":")
            yield key
            if self.take(b"}"):
                return
            self.expect(b",")

    def skip_scalar(self, field: str) -> None:
        """Step over a string, a whole number, true, false or null."""
        self._skip_blanks()
        match = _SCALAR.match(self._text, self._at)
        if match is None:
            self.read_string(field)
        else:
            self._at = match.end()

    def check_end(self) -> None:
        """Refuse anything but spaces after the object."""
        if self._text[self._at :].strip(b" "):
            self.fail("must end with its closing brace, got more text after it")

    def _skip_blanks(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
