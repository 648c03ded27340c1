"""The program as a whole: all commands, and its exit status."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO, cast

import typer

from diffusion.cli import convert, doctor, img2img, info, inpaint, model, tune, txt2img, upscale
from diffusion.cli.app import WRONG_INPUT, app, complain

__all__ = ["COMMANDS", "main"]

COMMANDS = (txt2img, img2img, inpaint, upscale, info, model, convert, tune, doctor)
"""Modules that hold a command each; importing them adds it to the program."""

# typer keeps the root of its usage errors to itself, and has moved it between versions.
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``avila`` with ``arguments`` (the process's own if None) and exit.

    Status 0: done. 1: an error of the program itself, with a traceback. 2: wrong input, told in
    one line, or a full disk behind stdout. 130: stopped with Ctrl-C.
    """
    _write_any_text(sys.stdout)
    try:
        status = app(arguments, prog_name="avila", standalone_mode=False)
        if sys.stdout is not None:  # as where the caller has closed it
            sys.stdout.flush()
    except _UsageError as error:
        if message := error.format_message().rstrip("."):  # empty where the help was shown
            complain(f"{message} (avila --help tells more)")
        status = WRONG_INPUT
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        status = _lose_output()
    sys.exit(status)


def _write_any_text(stream: TextIO | None) -> None:
    """Let a stream escape what its encoding lacks: file names and prompts hold any text."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _lose_output() -> int:
    """Tell that stdout's disk is full; drop what it still holds, for Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    complain("stdout cannot be written: the disk is full")
    return WRONG_INPUT
