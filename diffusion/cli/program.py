"""The program as a whole: all commands, and its exit status."""

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

from diffusion.cli import convert, doctor, img2img, info, inpaint, model, tune, txt2img, upscale
from diffusion.cli.app import STOPPED, WRONG_INPUT, app, complain

__all__ = ["COMMANDS", "app", "run"]

COMMANDS = (txt2img, img2img, inpaint, upscale, info, model, convert, tune, doctor)
"""Modules that hold a command each; importing them adds it to the program."""


def _let_help_flow(commands: Iterable[CommandInfo]) -> None:
    """Let a terminal wrap help anew: typer keeps the line ends of docstrings' later paragraphs."""
    for command in commands:
        text = inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))


_let_help_flow([*app.registered_commands, *model.models.registered_commands])

# typer keeps the root of its usage errors to itself, and has moved it between versions.
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run ``avila`` with ``arguments``; the exit status, see `diffusion.cli.entry.main`."""
    _write_any_text(sys.stdout)
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
        status = _lose_output()
    return status or 0


def _write_any_text(stream: TextIO | None) -> None:
    """Let a stream escape what its encoding lacks: file names and prompts hold any text."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _lose_output() -> int:
    """Tell that stdout's disk is full; drop what it still holds, for Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    complain("stdout cannot be written: the disk is full")
    return WRONG_INPUT
