"""Comparing a file's tensors with a model's parameters, before any tensor is read."""

from collections.abc import Mapping

from diffusion.checkpoints.parameter_names import IGNORED_NAMES, model_kind
from diffusion.checkpoints.safetensors.element_types import WEIGHTS
from diffusion.checkpoints.safetensors.entries import TensorEntry
from diffusion.errors import FilePath, ModelMismatchError, Shape


def check_parameters(
    expected: Mapping[str, Shape], found: Mapping[str, TensorEntry], file: FilePath
) -> None:
    """Raise ``ModelMismatchError`` unless names and shapes agree and all types are floating.

    ``expected``: the model's parameters; ``found``: the file's tensors under the model's names;
    ``file``: named in the error. ``IGNORED_NAMES`` may be there or not.
    """
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected and name not in IGNORED_NAMES]
    shared = [name for name in expected if name in found]
    misshapen = [
        (name, expected[name], found[name].shape)
        for name in shared
        if found[name].shape != tuple(expected[name])
    ]
    mistyped = [(name, found[name].dtype) for name in shared if found[name].dtype not in WEIGHTS]
    if missing or extra or misshapen or mistyped:
        raise ModelMismatchError(
            file,
            _hint(model_kind(expected), model_kind(found)),
            missing=missing,
            extra=extra,
            misshapen=misshapen,
            mistyped=mistyped,
        )


def _hint(expected: str, found: str) -> str:
    """Return what to do, given the kinds of model that the two sets of names tell."""
    if found and found != expected:
        return f"this looks like {found}" + (f"; give {expected}" if expected else "")
    return "the config beside the file is not its own; download the whole folder again"
