"""``avila kernel``: show what a kernel in Python is compiled to."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Annotated, Literal

import typer

from diffusion.cli.app import app, examples, reporting
from diffusion.cli.options.shared import DebugOption
from diffusion.errors import SettingsError
from gpucore import GpuKernel

__all__ = ["kernels"]

kernels = typer.Typer(name="kernel", help="Show kernels that are written in Python.")
app.add_typer(kernels, no_args_is_help=True)

EXAMPLES = examples(
    "avila kernel show kernels.py:saxpy",
    "avila kernel show kernels.py:blur --language cuda --const radius=3",
)

PlaceArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE:NAME", help="A Python file and a kernel in it.", show_default=False
    ),
]
LanguageOption = Annotated[
    Literal["wgsl", "cuda", "hip", "hip-64"],
    typer.Option("--language", help="The language to show."),
]
ConstOption = Annotated[
    list[str] | None,
    typer.Option("--const", metavar="NAME=NUMBER", help="The value of a Const parameter."),
]


@kernels.command("show", epilog=EXAMPLES)
def show_kernel(
    context: typer.Context,
    place: PlaceArgument,
    *,
    language: LanguageOption = "wgsl",
    const: ConstOption = None,
    debug: DebugOption = False,
) -> None:
    """Print what a kernel in Python is compiled to. The file is run, as Python runs it."""
    with reporting(context, debug):
        kernel = _find(place)
        print(kernel.source(language, **_numbers(const or [])), end="")


def _find(place: str) -> GpuKernel[object, object]:
    """Return a kernel of a file. Raises `SettingsError` where there is none."""
    file, _, name = place.rpartition(":")
    if not file or not Path(file).is_file():
        raise SettingsError("kernel", place, "must be FILE:NAME with a Python file that exists")
    names = _run_file(file)
    found = names.get(name)
    if not isinstance(found, GpuKernel):
        there = [each for each, value in names.items() if isinstance(value, GpuKernel)]
        raise SettingsError(
            "kernel", place, f"must be one of the file's kernels: {', '.join(there) or 'none'}"
        )
    return found


def _run_file(file: str) -> dict[str, object]:
    """Run a file as Python does; return its names. Its dataclasses find it as their module."""
    loader = SourceFileLoader("__kernels__", file)
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[loader.name] = module
    folder = str(Path(file).resolve().parent)
    sys.path.insert(0, folder)
    try:
        loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return vars(module)


def _numbers(given: list[str]) -> dict[str, int | float | bool]:
    """Return the values of ``--const``. Raises `SettingsError`."""
    return dict(map(_number, given))


def _number(text: str) -> tuple[str, int | float | bool]:
    name, _, value = text.partition("=")
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    raise SettingsError("--const", text, "must be NAME=NUMBER")
