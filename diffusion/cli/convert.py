"""``avila convert``: a model in another file format."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from diffusion.checkpoints import ModelFile, ModelFolder, SafetensorsFile, open_safetensors
from diffusion.checkpoints.bundled import bundled_model, named_model
from diffusion.checkpoints.conversion import save_folder, save_single, save_tensors
from diffusion.checkpoints.pytorch import SUFFIXES, open_torch
from diffusion.checkpoints.single_file import Prediction
from diffusion.checkpoints.verify import check_weights
from diffusion.cli import options
from diffusion.cli.app import app, reporting
from diffusion.cli.job import parsed_name, parsed_prediction
from diffusion.errors import ModelError, OutputError, SettingsError

__all__ = ["convert", "convert_model"]

EXAMPLES = """\
Examples:

[cyan]avila convert model.ckpt -o model.safetensors[/cyan]

[cyan]avila convert model.safetensors -o folder --tokenizer path/to/tokenizer[/cyan]

[cyan]avila convert folder -o half.safetensors --dtype f16[/cyan]
"""
DTYPES = {
    "bf16": "BF16",
    "f16": "F16",
    "f32": "F32",
    "f8_e4m3": "F8_E4M3",
    "f8_e5m2": "F8_E5M2",
}
_SINGLE = ".safetensors"

Source = Annotated[
    str,
    Argument(
        help="A model's folder, a .safetensors file, or a PyTorch file (.ckpt, .pt, .pth, .bin), "
        "which is read as data in a process of its own and never run.",
        show_default=False,
    ),
]
Target = Annotated[
    Path,
    Option(
        "--output",
        "-o",
        metavar="PATH",
        help="NAME.safetensors for a single file, or a new folder in the diffusers layout.",
        show_default=False,
    ),
]
DType = Annotated[
    str | None,
    Option(
        "--dtype",
        metavar="NAME",
        help=f"Element type of the weights: one of {', '.join(DTYPES)}; their own if absent.",
    ),
]


@app.command(epilog=EXAMPLES)
def convert(
    context: typer.Context,
    source: Source,
    *,
    output: Target,
    dtype: DType = None,
    tokenizer: options.Tokenizer = None,
    prediction: options.Predicts = None,
    debug: options.Debug = False,
) -> None:
    """Write a model as a single file or as a folder.

    A file becomes a single file tensor by tensor, names unchanged, whatever kind of model it is.
    Nothing is written over. A model that lacks tensors is refused; infinities and NaN are told.
    """
    with reporting(context, debug):
        kind = None if dtype is None else parsed_name("dtype", dtype, DTYPES)
        predicts = parsed_prediction(prediction)
        if output.exists():
            raise OutputError(output, "it exists", "give another --output, or remove it first")
        convert_model(named_model(source), output, kind, tokenizer=tokenizer, prediction=predicts)
    size = sum(file.stat().st_size for file in [output, *output.rglob("*")] if file.is_file())
    print(output)
    print(f"{size / 1e6:.1f} MB", file=sys.stderr)


def convert_model(
    source: Path,
    target: Path,
    dtype: str | None = None,
    *,
    tokenizer: Path | None = None,
    prediction: Prediction | None = None,
) -> None:
    """Write ``source`` as ``target``, whose suffix decides the layout.

    Warns of numbers that are not finite. Raises `ModelError`, `OutputError`, and `SettingsError`
    for options that change nothing.
    """
    single = target.suffix.lower() == _SINGLE
    if source.is_dir() or single:
        _check_unused(tokenizer=tokenizer, prediction=prediction)
    if single and not source.is_dir():
        file = _opened(source)
        _warn_of_misfits(file)
        save_tensors(file, target, dtype)
    elif single:
        save_single(_checked(ModelFolder(source)), target, dtype)
    elif source.is_dir():
        save_folder(_checked(ModelFolder(source)), target, dtype)
    else:
        model = ModelFile(_opened(source), tokenizer=tokenizer, prediction=prediction)
        save_folder(_checked(model), target, dtype)


def _checked(model: ModelFolder) -> ModelFolder:
    """The model, whose tensors are its networks' parameters. Raises `ModelError`."""
    check_weights(model)
    return model


def _warn_of_misfits(file: SafetensorsFile) -> None:
    """Tell where a file that has a model's parts lacks some of their tensors; it is copied as is.

    What has no such parts, such as a LoRA, is not looked at.
    """
    try:
        model = ModelFile(file, tokenizer=bundled_model() / "tokenizer")
    except ModelError:
        return
    try:
        check_weights(model)
    except ModelError as error:
        warnings.warn(f"copied, but no picture can be made: {error}", RuntimeWarning, stacklevel=2)


def _check_unused(**options: object) -> None:
    """Refuse options that would change nothing. Raises `SettingsError`."""
    for name, value in options.items():
        if value is not None:
            raise SettingsError(name, str(value), "only for a folder made of a single file")


def _opened(source: Path) -> SafetensorsFile:
    is_torch = source.suffix.lower() in SUFFIXES
    return open_torch(source) if is_torch else open_safetensors(source)
