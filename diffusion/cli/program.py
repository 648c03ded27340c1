"""The whole program: all its commands, and its exit status."""

from __future__ import annotations

import errno
import inspect
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

import typer
from typer.models import CommandInfo

from diffusion.cli.app import STOPPED, WRONG_INPUT, app, complain
from diffusion.cli.commands import (
    batch,
    config,
    convert,
    doctor,
    img2img,
    info,
    inpaint,
    kernel,
    model,
    model_convert,
    plan,
    serve,
    tune,
    txt2img,
    upscale,
)
from diffusion.cli.error_texts import (
    UsageError,
    is_of_stdout,
    system_error_text,
    usage_text,
)
from diffusion.cli.spellings import AvilaCommand

READER_GONE = 1
"""Exit status where nobody reads stdout any more, as typer has it for what a command prints."""

__all__ = ["COMMANDS", "app", "run"]

COMMANDS = (
    *(txt2img, img2img, inpaint, upscale, batch, plan, info, model, model_convert, convert),
    *(serve, config, tune, kernel, doctor),
)
"""The modules of the commands. Importing one adds its command to the program."""


def _complete_commands(commands: Sequence[CommandInfo]) -> None:
    """Give all commands their class and their help."""
    for command in commands:
        command.cls = AvilaCommand
    _join_help_lines(commands)


def _join_help_lines(commands: Iterable[CommandInfo]) -> None:
    """Join the lines of each paragraph of the help, so that a terminal can wrap them.

    typer does so only for the first paragraph of a docstring.
    """
    for command in commands:
        text = inspect.getdoc(command.callback) or ""
        command.help = "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))


_complete_commands(
    [
        *app.registered_commands,
        *model.models.registered_commands,
        *config.configs.registered_commands,
        *kernel.kernels.registered_commands,
    ]
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run ``avila`` with ``arguments``. Return the exit status, see `diffusion.cli.entry.main`."""
    _escape_unknown_text(sys.stdout)
    try:
        status = app(arguments, prog_name="avila", standalone_mode=False)
        if sys.stdout is not None:  # as where the caller has closed it
            sys.stdout.flush()
    except UsageError as error:
        if message := usage_text(error):  # empty where the help was shown
            complain(f"{message} (avila --help tells more)")
        status = WRONG_INPUT
    except (KeyboardInterrupt, typer.Abort):  # outside of a command, and at a question
        complain("stopped")
        status = STOPPED
    except OSError as error:
        if os.environ.get("AVILA_DEBUG"):
            raise
        status = _report_system_error(error)
    return status or 0


def _escape_unknown_text(stream: TextIO | None) -> None:
    """Let a stream escape what its encoding lacks, since file names and prompts hold any text."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _report_system_error(error: OSError) -> int:
    """Report an error outside of a command, or of stdout. Return the exit status."""
    if not is_of_stdout(error):
        complain(system_error_text(error))
        return WRONG_INPUT
    # Drop what Python would still write at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:  # as of `avila info PICTURE | head -1`
        return READER_GONE
    complain("stdout cannot be written: the disk is full")
    return WRONG_INPUT
