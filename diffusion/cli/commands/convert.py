"""``avila convert``: a model in another file format."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from diffusion.checkpoints import ModelFile, ModelFolder, SafetensorsFile
from diffusion.checkpoints.bundled import bundled_model, named_model
from diffusion.checkpoints.conversion import save_folder, save_single, save_tensors
from diffusion.checkpoints.hub.cache import bytes_of
from diffusion.checkpoints.pytorch import SUFFIXES, open_torch
from diffusion.checkpoints.safetensors.scales import with_scales
from diffusion.checkpoints.safetensors.writer import write_safetensors
from diffusion.checkpoints.single_file import Prediction
from diffusion.checkpoints.tensor_files import GGUF_END, open_tensors, require_readable
from diffusion.checkpoints.verify import check_weights
from diffusion.cli.app import app, examples, reporting
from diffusion.cli.options.groups import with_groups
from diffusion.cli.options.parsing import find_name, find_prediction
from diffusion.cli.options.shared import DebugOption, PredictionOption, TokenizerOption
from diffusion.cli.output import output_errors
from diffusion.errors import ModelError, OutputError, SettingsError
from diffusion.text.inversions.picture import PICTURE_ENDS, read_inversion_picture

__all__ = ["convert_model", "write_model"]

EXAMPLES = examples(
    "avila convert model.ckpt -o model.safetensors",
    "avila convert model.safetensors -o folder --tokenizer path/to/tokenizer",
    "avila convert folder -o half.safetensors --dtype f16",
)
DTYPES = {
    "bf16": "BF16",
    "f16": "F16",
    "f32": "F32",
    "f8_e4m3": "F8_E4M3",
    "f8_e5m2": "F8_E5M2",
}
_HINT = "give another --output"
_SINGLE = ".safetensors"

SourceArgument = Annotated[
    str,
    Argument(
        help="A model's folder, a .safetensors or .gguf file, or a PyTorch file (.ckpt, .pt, .pth, "
        ".bin), which is read as data in a process of its own and never executed. A picture that "
        "carries an embedding, too.",
        show_default=False,
    ),
]
TargetOption = Annotated[
    Path,
    Option(
        "--output",
        "-o",
        metavar="PATH",
        help="NAME.safetensors for a single file, or a new folder in the diffusers layout.",
    ),
]
DTypeOption = Annotated[
    str | None,
    Option(
        "--dtype",
        metavar="NAME",
        help=f"Number type of the weights: one of {', '.join(DTYPES)}.",
        show_default="their own",
    ),
]


@app.command("convert", epilog=EXAMPLES)
@with_groups
def convert_model(
    context: typer.Context,
    source: SourceArgument,
    *,
    output: TargetOption,
    dtype: DTypeOption = None,
    tokenizer: TokenizerOption = None,
    prediction: PredictionOption = None,
    debug: DebugOption = False,
) -> None:
    """Write a model as a single file or as a folder; `avila model convert` quantises one.

    A file is copied into a single file tensor by tensor, with the same names, whatever kind of
    model it is. No file is replaced. A model that lacks tensors is refused, and a warning names
    tensors with infinities or NaN.
    """
    with reporting(context, debug):
        element_type = None if dtype is None else find_name("dtype", dtype, DTYPES)
        predicted = find_prediction(prediction)
        with output_errors(output, _HINT):
            if output.exists():
                raise OutputError(output, "it exists", f"{_HINT}, or remove it first")
        write_model(
            named_model(source), output, element_type, tokenizer=tokenizer, prediction=predicted
        )
    print(output)
    print(f"{bytes_of(output) / 1e6:.1f} MB", file=sys.stderr)


def write_model(
    source: Path,
    target: Path,
    dtype: str | None = None,
    *,
    tokenizer: Path | None = None,
    prediction: Prediction | None = None,
) -> None:
    """Write the model ``source`` to ``target``, whose suffix decides the layout.

    Warn of numbers that are not finite. Raises `ModelError`, `OutputError`, and `SettingsError`
    for options that change nothing.
    """
    if target.suffix.lower() == GGUF_END:
        hint = "quantise the model: avila model convert MODEL OUT --weights TYPE"
        raise OutputError(target, "this command writes no GGUF", hint)
    single = target.suffix.lower() == _SINGLE
    if source.is_dir() or single:
        _check_unused(tokenizer=tokenizer, prediction=prediction)
    if source.suffix.lower() in PICTURE_ENDS:
        _write_inversion(source, target, dtype)
        return
    if single and not source.is_dir():
        file = _open_file(source)
        _warn_of_misfits(file)
        save_tensors(file, target, dtype)
    elif single:
        save_single(_require_all_tensors(ModelFolder(source)), target, dtype)
    elif source.is_dir():
        save_folder(_require_all_tensors(ModelFolder(source)), target, dtype)
    else:
        model = ModelFile(_open_file(source), tokenizer=tokenizer, prediction=prediction)
        save_folder(_require_all_tensors(model), target, dtype)


def _write_inversion(source: Path, target: Path, dtype: str | None) -> None:
    """Write the vectors that a picture carries. Raises `ModelError`, `OutputError`."""
    if target.suffix.lower() != _SINGLE:
        raise OutputError(target, "a picture holds an embedding", f"give NAME{_SINGLE}")
    vectors = read_inversion_picture(source)
    tensors = {"emb_params": (dtype or "F32", vectors.shape)}
    write_safetensors(target, tensors, lambda name: vectors)


def _require_all_tensors(model: ModelFolder) -> ModelFolder:
    """Return the model if its tensors are the parameters of its networks. Raises `ModelError`."""
    check_weights(model)
    return model


def _warn_of_misfits(file: SafetensorsFile) -> None:
    """Warn of a model in one file that lacks tensors; it is copied as it is.

    Other files, such as a LoRA, are not looked at.
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
    """Raise `SettingsError` for options that would change nothing."""
    for name, value in options.items():
        if value is not None:
            raise SettingsError(
                name, str(value), "must only be given for a folder made of a single file"
            )


def _open_file(source: Path) -> SafetensorsFile:
    """Open a file of tensors; quantised ones have their scales."""
    is_torch = source.suffix.lower() in SUFFIXES
    return open_torch(source) if is_torch else with_scales(require_readable(open_tensors(source)))
