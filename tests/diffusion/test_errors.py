"""Messages: one line, what is wrong, where, what to do; safe to show; arguments kept."""

from __future__ import annotations

import pickle

import pytest

from diffusion.errors import (
    DiffusionError,
    ModelFormatError,
    ModelMismatchError,
    ModelNotFoundError,
    OutputError,
    SettingsError,
    quote,
)

EXAMPLES: list[tuple[DiffusionError, str]] = [
    (ModelNotFoundError("m", "is not there", "look"), "m: is not there; look"),
    (ModelFormatError("m", "header", "is odd", "try again"), "m: header: is odd; try again"),
    (
        ModelMismatchError("m", "look", missing=["a"]),
        "m: does not fit this model: lacks 'a'; look",
    ),
    (SettingsError("size", 7, "a multiple of 8"), "size cannot be 7; a multiple of 8"),
    (SettingsError("sampler", "x\n", "euler"), "sampler cannot be 'x\\n'; euler"),
    (OutputError("o.png", "is full", "free it"), "o.png: cannot be written: is full; free it"),
    (ModelFormatError("\x1b[31m\n", "a", "b", "c"), "\\x1b[31m\\n: a: b; c"),
    (ModelMismatchError("\ud800", "c"), "\\ud800: does not fit this model: ; c"),
    (OutputError("\x9b", "a", "b"), "\\x9b: cannot be written: a; b"),
    (ModelNotFoundError("ü\u202e", "a", "b"), "ü\\u202e: a; b"),
]


@pytest.mark.parametrize(("error", "message"), EXAMPLES)
def test_message(error: DiffusionError, message: str) -> None:
    assert str(error) == message


@pytest.mark.parametrize("error", [error for error, _ in EXAMPLES])
def test_errors_travel_between_processes(error: DiffusionError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "'plain'"),
        ("\x1b[31m\r\n", "'\\x1b[31m\\r\\n'"),
        ("x" * 61, "'" + "x" * 60 + "'..."),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1..."),
        (None, "None"),
    ],
)
def test_quoted(text: object, shown: str) -> None:
    assert quote(text) == shown
