"""Comparing the tensors a file holds with the parameters a model wants, before any is read."""

from collections.abc import Mapping

from diffusion.checkpoints.element_types import FLOATING
from diffusion.checkpoints.header import TensorEntry
from diffusion.checkpoints.names import IGNORED_NAMES, family
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
    both = [name for name in expected if name in found]
    misshapen = [
        (name, expected[name], found[name].shape)
        for name in both
        if found[name].shape != tuple(expected[name])
    ]
    mistyped = [(name, found[name].dtype) for name in both if found[name].dtype not in FLOATING]
    if missing or extra or misshapen or mistyped:
        raise ModelMismatchError(
            file,
            _hint(family(expected), family(found)),
            missing=missing,
            extra=extra,
            misshapen=misshapen,
            mistyped=mistyped,
        )


def _hint(wanted: str, found: str) -> str:
    """What to do, given the families that the two sets of names betray."""
    if found and found != wanted:
        return f"this looks like {found}" + (f", and {wanted} is wanted here" if wanted else "")
    return "the config beside the file is not its own; download the whole folder again"
