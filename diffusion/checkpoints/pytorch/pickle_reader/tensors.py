"""The tensors in the data of a checkpoint: their names, and the order of their axes."""

from collections.abc import Iterator
from pickle import UnpicklingError
from typing import Final

from .values import Tensor

MAX_TENSORS: Final = 100_000
MAX_VISITS: Final = 1_000_000
"""How many values are looked at: dictionaries may hold each other many times."""
MAX_DEPTH: Final = 8


def find_tensors(tree: object) -> tuple[dict[str, Tensor], int]:
    """Return the tensors by name, and how many other values were skipped.

    The tensors are those of ``state_dict`` if the checkpoint has one, else all. The names of nested
    dictionaries are joined with dots.
    """
    if isinstance(tree, dict) and isinstance(tree.get("state_dict"), dict):
        tree = tree["state_dict"]
    found: dict[str, Tensor] = {}
    skipped = 0
    for count, (name, leaf) in enumerate(_leaves(tree, "", 0)):
        if count > MAX_VISITS or len(found) > MAX_TENSORS:
            raise UnpicklingError(f"holds more than {MAX_TENSORS} tensors")
        if not isinstance(leaf, Tensor):
            skipped += not isinstance(leaf, dict)
        elif name in found:
            raise UnpicklingError(f"holds {name[:60]!r} twice")
        else:
            found[name] = leaf
    if not found:
        raise UnpicklingError("holds no tensors")
    return found, skipped


def _leaves(tree: object, name: str, depth: int) -> Iterator[tuple[str, object]]:
    """Yield every value in nested dictionaries, with its joined name."""
    yield name, tree
    if not isinstance(tree, dict) or depth > MAX_DEPTH:
        return
    for key, value in tree.items():
        below = f"{name}.{key}" if name else str(key)
        yield from _leaves(value, below, depth + 1)


def axes_order(tensor: Tensor) -> list[int] | None:
    """Return the order of axes in memory as numpy.transpose takes it; None for the plain order.

    Raises ``UnpicklingError`` for a tensor that does not fill its span.
    """
    shape, stride = tensor.shape, tensor.stride
    if len(shape) != len(stride):
        raise UnpicklingError("holds a tensor whose sizes and strides differ in number")
    order = sorted(range(len(shape)), key=lambda axis: -stride[axis] if shape[axis] > 1 else 0)
    dense = [axis for axis in order if shape[axis] > 1]
    step = 1
    for axis in reversed(dense):
        if stride[axis] != step and 0 not in shape:
            raise UnpicklingError("holds a tensor that is a view with gaps, which is not supported")
        step *= shape[axis]
    if dense == sorted(dense):
        return None
    return [order.index(axis) for axis in range(len(shape))]
