"""What a checkpoint may call or name, and the plain functions that take the place of the calls."""

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, Final

from .values import (
    ELEMENT_TYPES,
    Name,
    Opaque,
    Storage,
    Tensor,
    as_key,
    as_natural,
    as_naturals,
    describe,
)


def _make_tensor(
    storage: object, offset: object, size: object, stride: object, *_: object
) -> Tensor:
    """Stand for torch._utils._rebuild_tensor_v2."""
    if not isinstance(storage, Storage):
        raise UnpicklingError("holds a tensor without a storage")
    return Tensor(storage, as_natural(offset), as_naturals(size), as_naturals(stride))


def _make_typed_tensor(*arguments: object) -> Tensor:
    """Stand for torch._utils._rebuild_tensor_v3: the type follows the arguments of version 2."""
    tensor, kind = _make_tensor(*arguments[:4]), arguments[6] if len(arguments) > 6 else None
    if not isinstance(kind, Name) or kind.name not in ELEMENT_TYPES:
        raise UnpicklingError(
            f"holds a tensor of the type {describe(kind)}, which is not supported"
        )
    dtype, itemsize = ELEMENT_TYPES[kind.name]
    storage = Storage(dtype, itemsize, tensor.storage.key, tensor.storage.numel // itemsize)
    return tensor._replace(storage=storage)


def _first_argument(*arguments: object) -> object:
    """Stand for torch.Size and for what wraps a tensor."""
    return arguments[0] if arguments else ()


def _make_dict(*arguments: object) -> dict[Any, Any]:
    """Stand for collections.OrderedDict, with nothing or a list of pairs."""
    pairs = arguments[0] if arguments else []
    if not isinstance(pairs, list) or not all(
        isinstance(p, list | tuple) and len(p) == 2 for p in pairs
    ):
        raise UnpicklingError("holds a dictionary of an unknown form")
    return {as_key(key): value for key, value in pairs}


def _make_opaque(*_: object) -> Opaque:
    """Stand for a call whose result no tensor needs."""
    return Opaque()


CALLS: Final[dict[Name, Callable[..., object]]] = {
    Name("collections", "OrderedDict"): _make_dict,
    Name("torch._utils", "_rebuild_tensor_v2"): _make_tensor,
    Name("torch._utils", "_rebuild_tensor_v3"): _make_typed_tensor,
    Name("torch._utils", "_rebuild_parameter"): _first_argument,
    Name("torch", "Size"): _first_argument,
    Name("numpy.core.multiarray", "scalar"): _make_opaque,
    Name("numpy._core.multiarray", "scalar"): _make_opaque,
    Name("numpy", "dtype"): _make_opaque,
    Name("_codecs", "encode"): _make_opaque,
    Name("__builtin__", "set"): _make_opaque,
    Name("builtins", "set"): _make_opaque,
}
"""What a checkpoint may call, and what is done instead."""

PARAMETER_DICT: Final = Name("torch.nn.modules.container", "ParameterDict")
"""The one class of which a checkpoint may make an object: old textual inversions have it."""

ONLY_NAMED: Final = {
    PARAMETER_DICT,
    Name("torch", "device"),
    Name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    *(Name("torch", name) for name in ELEMENT_TYPES),
    Name("torch.storage", "UntypedStorage"),
}
"""What a checkpoint may name, and not call: types, and keys of training's notes."""
