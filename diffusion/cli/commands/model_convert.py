"""``avila model convert``: a model whose weights take fewer bits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from diffusion.checkpoints import ModelFolder, SafetensorsFile
from diffusion.checkpoints.bundled import named_model
from diffusion.checkpoints.hub.cache import bytes_of
from diffusion.checkpoints.quantizing import WEIGHT_NAMES, Rules, TypeRule, save_quantized
from diffusion.checkpoints.safetensors.scales import with_scales
from diffusion.checkpoints.tensor_files import MODEL_ENDS, open_tensors, require_readable
from diffusion.checkpoints.verify import check_weights
from diffusion.cli.app import examples, reporting
from diffusion.cli.commands.model import NameArgument, models, size_text
from diffusion.cli.options.groups import with_groups
from diffusion.cli.options.parsing import find_name
from diffusion.cli.options.shared import DebugOption
from diffusion.cli.output import output_errors
from diffusion.cli.progress import ProgressBar
from diffusion.errors import OutputError, SettingsError

__all__ = ["quantize_model"]

EXAMPLES = examples(
    "avila model convert model.safetensors small.gguf --weights q8_0",
    "avila model convert folder small.gguf --weights q4_k --keep '*.attn2.*'",
    "avila model convert folder small.gguf --weights q4_k --rule '*.attn1.*=q8_0'",
    "avila model convert model.safetensors small.safetensors --weights fp8",
)
_HINT = "give another OUT"

TargetArgument = Annotated[
    Path,
    Argument(
        metavar="OUT",
        help="NAME.gguf, or NAME.safetensors for fp8 and f16.",
        show_default=False,
    ),
]
WeightsOption = Annotated[
    str,
    Option(
        "--weights",
        metavar="TYPE",
        help=f"Type of the large weights: one of {', '.join(sorted(WEIGHT_NAMES))}.",
    ),
]
KeepOption = Annotated[
    list[str] | None,
    Option(
        "--keep",
        metavar="PATTERN",
        help="Tensors to keep in 16 bits besides those that always are, such as '*.attn2.*'. "
        "Repeatable.",
        show_default="none",
    ),
]
RuleOption = Annotated[
    list[str] | None,
    Option(
        "--rule",
        metavar="PATTERN=TYPE",
        help="Another type for the large weights of these names, such as '*.attn2.*=q8_0'. "
        "Repeatable; the first that matches counts.",
        show_default="none",
    ),
]
RowsOption = Annotated[
    bool,
    Option(
        "--whole-rows",
        help="Let no block cross the end of a row, as stable-diffusion.cpp needs it. Convolutions "
        "stay in 16 bits.",
    ),
]


@models.command("convert", epilog=EXAMPLES)
@with_groups
def quantize_model(
    context: typer.Context,
    name: NameArgument,
    output: TargetArgument,
    *,
    weights: WeightsOption,
    keep: KeepOption = None,
    rule: RuleOption = None,
    whole_rows: RowsOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a model with smaller weights, as one file.

    Biases, norms, embeddings, the VAE and the layers of time, input and output keep 16 or 32 bits.
    The file is read again before it gets its name. No file is replaced.
    """
    with reporting(context, debug):
        found = find_name("weights", weights, WEIGHT_NAMES)
        rules = Rules(found, tuple(keep or ()), whole_rows, tuple(map(_parse_rule, rule or ())))
        with output_errors(output, _HINT):
            _check_output(output)
        source = _open_source(named_model(name))
        with ProgressBar(shown=True) as bar:
            save_quantized(
                source, output, rules, lambda _, done, all_: bar.step(done, all_, "writing")
            )
    print(output)
    print(size_text(bytes_of(output)), file=sys.stderr)


def _parse_rule(text: str) -> TypeRule:
    """Read PATTERN=TYPE. Raises `SettingsError`."""
    pattern, sign, name = text.rpartition("=")
    if not sign or not pattern:
        raise SettingsError("rule", text, "must be PATTERN=TYPE, such as '*.attn2.*=q8_0'")
    return TypeRule(pattern, find_name("rule", name, WEIGHT_NAMES))


def _check_output(output: Path) -> None:
    """Raise `OutputError` for a file that exists, or whose name tells no kind."""
    if output.exists():
        raise OutputError(output, "it exists", f"{_HINT}, or remove it first")
    if output.suffix.lower() not in MODEL_ENDS:
        reason = f"its name must end in {' or '.join(MODEL_ENDS)}"
        raise OutputError(output, reason, _HINT)


def _open_source(path: Path) -> ModelFolder | SafetensorsFile:
    """Open a model's folder, whose tensors must fit; or a file, whose tensors keep their names."""
    if path.is_dir():
        model = ModelFolder(path)
        check_weights(model)
        return model
    return with_scales(require_readable(open_tensors(path)))
