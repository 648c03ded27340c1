"""The frame of all commands: the options before a command, and how errors are reported."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, TextIO

import typer

from diffusion.cli.error_texts import (
    error_text,
    is_of_stdout,
    shorten_line,
    system_error_text,
    warning_text,
)
from diffusion.cli.signals import STOPPED
from diffusion.cli.spellings import AvilaGroup
from diffusion.errors import DiffusionError, escape
from diffusion.release import version
from gpucore import GpuError

__all__ = [
    "STOPPED",
    "WRONG_INPUT",
    "app",
    "complain",
    "escape_lines",
    "examples",
    "needing_extra",
    "reporting",
    "version",
]

WRONG_INPUT = 2
"""Exit status for what the caller can correct: an option, a model, a device."""

app = typer.Typer(
    name="avila",
    cls=AvilaGroup,
    help="Draw pictures from text: Stable Diffusion on any GPU, or on none.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("_", "-"),
    },
)


def _print_version(asked: bool) -> None:
    """Print the version and exit, where ``--version`` was given."""
    if asked:
        typer.echo(f"avila {version()}")
        raise typer.Exit


@app.callback()
def read_first_options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Draw pictures from text: Stable Diffusion on any GPU, or on none.

    'avila COMMAND --help' explains a command.
    """


def examples(*lines: str) -> str:
    """Return the end of a command's help: command lines to copy."""
    return "\n\n".join(["Examples:", *(f"[cyan]{line}[/cyan]" for line in lines)])


def escape_lines(text: str) -> str:
    """Return ``text`` with what could steer a terminal escaped; line ends stay."""
    return "\n".join(map(escape, text.split("\n")))


def complain(message: str) -> None:
    """Print a message on stderr, with what could steer a terminal escaped."""
    lines = map(shorten_line, escape_lines(message).split("\n"))
    print("avila:", "\n".join(lines), file=sys.stderr)


def _show_warning(
    context: typer.Context,
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning in one line, without the place in the code that Python would show."""
    complain(f"warning: {warning_text(context, str(message))}")


@contextmanager
def needing_extra(extra: str) -> Iterator[None]:
    """Turn the lack of a package into an error that names the extra which brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("diffusion"):
            raise
        hint = f"this needs more packages: pip install avila-diffusion[{extra}]"
        raise DiffusionError(f"{error.name} is missing; {hint}") from error


@contextmanager
def reporting(context: typer.Context, debug: bool = False) -> Iterator[None]:
    """Report errors that the caller can correct in one line, and exit with status 2.

    So are errors of the system, whatever code meets them. Warnings take one line, too. Both name
    settings as the options of the running command. Ctrl-C is reported where the block does not do
    so itself. With ``debug`` or the environment variable ``AVILA_DEBUG``, the traceback is printed
    first.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_show_warning, context)
            yield
    except (DiffusionError, GpuError) as error:
        if debug or os.environ.get("AVILA_DEBUG"):
            traceback.print_exc()
        complain(error_text(context, error))
        raise typer.Exit(WRONG_INPUT) from None
    except OSError as error:
        if is_of_stdout(error):
            raise
        if debug or os.environ.get("AVILA_DEBUG"):
            traceback.print_exc()
        complain(system_error_text(error))
        raise typer.Exit(WRONG_INPUT) from None
    except KeyboardInterrupt:
        complain("stopped")
        raise typer.Exit(STOPPED) from None
