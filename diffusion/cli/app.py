"""The command's frame: its options before any command, and how errors are told."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from typing import Annotated, TextIO

import typer

from diffusion.cli.option_names import as_typed
from diffusion.errors import DiffusionError, printable
from gpucore import GpuError

__all__ = ["STOPPED", "WRONG_INPUT", "app", "complain", "reporting", "version"]

WRONG_INPUT = 2
"""Exit status for what the caller can mend: an option, a model, a device."""

STOPPED = 130
"""Exit status for Ctrl-C."""

app = typer.Typer(
    name="avila",
    help="Pictures from text: Stable Diffusion on any GPU, or on none.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version() -> str:
    """The installed version; "unknown" for a checkout that is not installed."""
    try:
        return metadata.version("avila-diffusion")
    except metadata.PackageNotFoundError:
        return "unknown"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"avila {version()}")
        raise typer.Exit


@app.callback()
def frame(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Pictures from text: Stable Diffusion on any GPU, or on none."""


def complain(message: str) -> None:
    """A message on stderr, with what could steer a terminal escaped; lines stay lines."""
    shown = "\n".join(map(printable, message.split("\n")))
    print(f"avila: {shown}", file=sys.stderr)


def _tell_warning(
    context: typer.Context,
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning in one line, without the place in the code that Python would show."""
    complain(f"warning: {as_typed(context, message)}")


@contextmanager
def reporting(context: typer.Context, debug: bool = False) -> Iterator[None]:
    """Tell errors that the caller can mend in one line and exit with status 2; warnings, too.

    Settings get the names of the running command's options. Ctrl-C is told where the block does
    not do so itself. With ``debug`` or the environment variable ``AVILA_DEBUG`` errors pass, with
    their traceback.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_tell_warning, context)
            yield
    except (DiffusionError, GpuError) as error:
        if debug or os.environ.get("AVILA_DEBUG"):
            raise
        complain(as_typed(context, error))
        raise typer.Exit(WRONG_INPUT) from None
    except KeyboardInterrupt:
        complain("stopped")
        raise typer.Exit(STOPPED) from None
