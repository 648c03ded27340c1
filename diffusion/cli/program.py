"""The whole program: all its commands, and its exit status."""

from __future__ import annotations

import errno
import inspect
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO, cast

import typer
from typer.models import CommandInfo

from diffusion.cli.app import STOPPED, WRONG_INPUT, app, complain
from diffusion.cli.commands import (
    convert,
    doctor,
    img2img,
    info,
    inpaint,
    model,
    tune,
    txt2img,
    upscale,
)

__all__ = ["COMMANDS", "app", "run"]

COMMANDS = (txt2img, img2img, inpaint, upscale, info, model, convert, tune, doctor)
"""The modules of the commands. Importing one adds its command to the program."""


def _join_help_lines(commands: Iterable[CommandInfo]) -> None:
    """Join the lines of each paragraph of the help, so that a terminal can wrap them.

    typer does so only for the first paragraph of a docstring.
    """
    for command in commands:
        text = inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))


_join_help_lines([*app.registered_commands, *model.models.registered_commands])

# typer keeps the root of its usage errors to itself, and has moved it between versions.
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run ``avila`` with ``arguments``. Return the exit status, see `diffusion.cli.entry.main`."""
    _escape_unknown_text(sys.stdout)
    try:
        status = app(arguments, prog_name="avila", standalone_mode=False)
        if sys.stdout is not None:  # as where the caller has closed it
            sys.stdout.flush()
    except _UsageError as error:
        if message := error.format_message().rstrip("."):  # empty where the help was shown
            complain(f"{message} (avila --help tells more)")
        status = WRONG_INPUT
    except (KeyboardInterrupt, typer.Abort):  # outside of a command, and at a question
        complain("stopped")
        status = STOPPED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        status = _drop_output()
    return status or 0


def _escape_unknown_text(stream: TextIO | None) -> None:
    """Let a stream escape what its encoding lacks, since file names and prompts hold any text."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _drop_output() -> int:
    """Report a full disk behind stdout, and drop what Python would still write at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    complain("stdout cannot be written: the disk is full")
    return WRONG_INPUT
