"""What lies where in a PyTorch checkpoint (``.ckpt``, ``.pt``, ``.pth``, ``.bin``), as JSON.

Run as a script, in a process of its own that ``torch_file`` starts: it imports nothing of this
project, gives up the right to open files, sockets and processes, bounds its memory and time, and
prints ``{"tensors": {name: [dtype, shape, offset, nbytes, axes]}, "skipped": count}`` or
``{"error": reason}``. Offsets are the file's own, so that no tensor passes through here.
Of the module ``pickle`` it takes the error alone.

A checkpoint is a zip archive with a pickle of the objects and a plain entry for each storage
(PyTorch since 1.6; torch/serialization.py). A pickle is a program for a stack machine (PEP 307,
pickletools.py). The machine here knows data only: a name of something importable becomes an inert
``Name``, and "calling" one is possible for those in ``_CALLS`` alone, none of which runs anything
of the file's. Whatever else the pickle asks for ends the reading.
"""

import codecs
import json
import math
import pickletools
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Hashable, Iterator
from pickle import UnpicklingError
from typing import Any, BinaryIO, Final, NamedTuple

MEMORY: Final = 2**30
SECONDS: Final = 60
MAX_PICKLE: Final = 64 * 2**20
MAX_TENSORS: Final = 100_000
MAX_STEPS: Final = 40 * MAX_TENSORS
"""PyTorch writes up to 30 instructions a tensor."""
MAX_VISITS: Final = 1_000_000
MAX_DEPTH: Final = 8
MAX_ANSWER: Final = 64 * 2**20

_TYPES: Final = {
    "BoolStorage": ("BOOL", 1),
    "ByteStorage": ("U8", 1),
    "CharStorage": ("I8", 1),
    "ShortStorage": ("I16", 2),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "IntStorage": ("I32", 4),
    "FloatStorage": ("F32", 4),
    "LongStorage": ("I64", 8),
    "DoubleStorage": ("F64", 8),
    "UntypedStorage": ("U8", 1),
    "float8_e4m3fn": ("F8_E4M3", 1),
    "float8_e5m2": ("F8_E5M2", 1),
    "uint16": ("U16", 2),
    "uint32": ("U32", 4),
    "uint64": ("U64", 8),
}
"""PyTorch's types: name in safetensors, and bytes of an element."""


class Name(NamedTuple):
    """Something that could be imported, and is not."""

    module: str
    name: str


class Storage(NamedTuple):
    """``numel`` elements in the archive's entry ``data/<key>``."""

    dtype: str
    itemsize: int
    key: str
    numel: int


class Tensor(NamedTuple):
    """A view of a storage; sizes, strides and offset count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Opaque:
    """The result of a call that is allowed and of no interest."""


def _shown(value: object) -> str:
    """A name or a text; of all else the kind, since what lies in one another may be of any size."""
    if isinstance(value, Name):
        value = f"{value.module}.{value.name}"
    return repr(value[:80] if isinstance(value, str) else type(value).__name__)


def _natural(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise UnpicklingError("holds a tensor whose sizes are not whole numbers")
    return value


def _naturals(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > 8:
        raise UnpicklingError("holds a tensor of no shape that is read")
    return tuple(_natural(item) for item in value)


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """torch._utils._rebuild_tensor_v2."""
    if not isinstance(storage, Storage):
        raise UnpicklingError("holds a tensor without a storage")
    return Tensor(storage, _natural(offset), _naturals(size), _naturals(stride))


def _typed_tensor(*arguments: object) -> Tensor:
    """torch._utils._rebuild_tensor_v3: the type follows the arguments of version 2."""
    tensor, kind = _tensor(*arguments[:4]), arguments[6] if len(arguments) > 6 else None
    if not isinstance(kind, Name) or kind.name not in _TYPES:
        raise UnpicklingError(f"holds a tensor of the type {_shown(kind)}, which is not read")
    dtype, itemsize = _TYPES[kind.name]
    storage = Storage(dtype, itemsize, tensor.storage.key, tensor.storage.numel // itemsize)
    return tensor._replace(storage=storage)


def _first(*arguments: object) -> object:
    return arguments[0] if arguments else ()


def _mapping(*arguments: object) -> dict[Any, Any]:
    """collections.OrderedDict, with nothing or a list of pairs."""
    pairs = arguments[0] if arguments else []
    if not isinstance(pairs, list) or not all(
        isinstance(p, list | tuple) and len(p) == 2 for p in pairs
    ):
        raise UnpicklingError("holds a dictionary of an unknown form")
    return {_key(key): value for key, value in pairs}


def _opaque(*_: object) -> _Opaque:
    return _Opaque()


_CALLS: Final[dict[Name, Callable[..., object]]] = {
    Name("collections", "OrderedDict"): _mapping,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    Name("torch._utils", "_rebuild_parameter"): _first,
    Name("torch", "Size"): _first,
    Name("numpy.core.multiarray", "scalar"): _opaque,
    Name("numpy._core.multiarray", "scalar"): _opaque,
    Name("numpy", "dtype"): _opaque,
    Name("_codecs", "encode"): _opaque,
}
"""What a checkpoint may call, and what is done instead."""

_ONLY_NAMED: Final = {
    Name("torch", "device"),
    Name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    *(Name("torch", name) for name in _TYPES),
    Name("torch.storage", "UntypedStorage"),
}
"""What a checkpoint may name, and not call: types, and keys of training's notes."""


def _key(value: object) -> Hashable:
    if value is None or isinstance(value, str | bytes | int | float | Name):
        return value
    if isinstance(value, tuple) and len(value) <= 8 and not any(type(i) is tuple for i in value):
        return tuple(_key(item) for item in value)
    raise UnpicklingError("holds a dictionary with a key of an unknown form")


class _Machine:
    """A stack machine for pickles that builds data and nothing else."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, pickle: bytes) -> object:
        """What the pickle describes."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
            if count > MAX_STEPS:
                raise UnpicklingError(f"takes more than {MAX_STEPS} steps to read")
            name = opcode.name
            if name in _PUSHED:
                self._stack.append(argument)
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name == "STOP":
                return self._stack.pop()
            else:
                raise UnpicklingError(f"has the instruction {name}, which is not read")
        raise UnpicklingError("has no end")

    def _items(self) -> list[Any]:
        """Everything above the last mark."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _mark(self, _: object) -> None:
        self._marks.append(len(self._stack))

    def _pop(self, _: object) -> None:
        self._stack.pop()

    def _pop_mark(self, _: object) -> None:
        self._items()

    def _copy(self, _: object) -> None:
        self._stack.append(self._stack[-1])

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _tuple(self, count: int | None) -> None:
        if count is None:
            self._stack.append(tuple(self._items()))
        else:
            items = self._stack[len(self._stack) - count :]
            del self._stack[len(self._stack) - count :]
            self._stack.append(tuple(items))

    def _list(self, _: object) -> None:
        self._stack.append(self._items())

    def _dict(self, _: object) -> None:
        items = self._items()
        self._stack.append({})
        self._set(items)

    def _set_items(self, _: object) -> None:
        self._set(self._items())

    def _set_item(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise UnpicklingError("puts items into what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def _append(self, _: object) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, _: object) -> None:
        self._extend(self._items())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise UnpicklingError("appends to what is no list")
        target.extend(items)

    def _global(self, joined: str) -> None:
        module, _, name = joined.partition(" ")
        self._name(module, name)

    def _stack_global(self, _: object) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module, name)

    def _name(self, module: object, name: object) -> None:
        if isinstance(module, str) and isinstance(name, str):
            found = Name(module, name)
            if found in _CALLS or found in _ONLY_NAMED:
                self._stack.append(found)
                return
        raise UnpicklingError(f"asks for {f'{module}.{name}'[:80]!r}, which a model has no need of")

    def _reduce(self, _: object) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        call = _CALLS.get(called) if isinstance(called, Name) else None
        if call is None or not isinstance(arguments, tuple):
            raise UnpicklingError(f"calls {_shown(called)}, which is no call that is allowed")
        self._stack.append(call(*arguments))

    def _build(self, _: object) -> None:
        """Attributes of an object: those of dictionaries (torch's ``_metadata``) are dropped."""
        self._stack.pop()
        if not isinstance(self._stack[-1], dict | _Opaque):
            raise UnpicklingError("sets attributes of an object of an unknown kind")

    def _persistent(self, _: object) -> None:
        match self._stack.pop():
            case ("storage", Name(name=kind), str(key), str(), int(numel)) if kind in _TYPES:
                self._stack.append(Storage(*_TYPES[kind], key, _natural(numel)))
            case other:
                raise UnpicklingError(f"refers to {_shown(other)}, which is no storage")


_ENCODINGS: Final = ("ascii", "cp437", "latin-1", "raw_unicode_escape", "unicode_escape")
"""What zip archives and pickles are written in; Python loads each from a file when first used."""

_PUSHED: Final = frozenset(
    "INT LONG LONG1 LONG4 BININT BININT1 BININT2 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
"""Instructions that push their argument."""


def _pushing(make: Callable[[], object]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine._stack.append(make())


def _tupling(count: int | None) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine._tuple(count)


_STEPS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "PROTO": lambda *_: None,
    "FRAME": lambda *_: None,
    "MARK": _Machine._mark,
    "POP": _Machine._pop,
    "POP_MARK": _Machine._pop_mark,
    "DUP": _Machine._copy,
    "NONE": _pushing(lambda: None),
    "NEWTRUE": _pushing(lambda: True),
    "NEWFALSE": _pushing(lambda: False),
    "EMPTY_TUPLE": _pushing(tuple),
    "EMPTY_LIST": _pushing(list),
    "EMPTY_DICT": _pushing(dict),
    "TUPLE": _tupling(None),
    "TUPLE1": _tupling(1),
    "TUPLE2": _tupling(2),
    "TUPLE3": _tupling(3),
    "LIST": _Machine._list,
    "DICT": _Machine._dict,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "PUT": _Machine._put,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._memoize,
    "GET": _Machine._get,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}


def read_pickle(pickle: bytes) -> object:
    """The data that a pickle describes. Raises ``UnpicklingError``."""
    try:
        return _Machine().run(pickle)
    except (IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnpicklingError(f"is no sound pickle ({type(error).__name__})") from None


def tensors_in(tree: object) -> tuple[dict[str, Tensor], int]:
    """Tensors by name, and how many other things were passed over.

    Those of ``state_dict`` if the checkpoint has one, else all; names within dictionaries within
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
    yield name, tree
    if not isinstance(tree, dict) or depth > MAX_DEPTH:
        return
    for key, value in tree.items():
        below = f"{name}.{key}" if name else str(key)
        yield from _leaves(value, below, depth + 1)


def axes_of(tensor: Tensor) -> list[int] | None:
    """The order of axes in memory as numpy.transpose takes it; None for the plain order.

    Refuses a tensor that does not fill its span.
    """
    shape, stride = tensor.shape, tensor.stride
    if len(shape) != len(stride):
        raise UnpicklingError("holds a tensor whose sizes and strides differ in number")
    order = sorted(range(len(shape)), key=lambda axis: -stride[axis] if shape[axis] > 1 else 0)
    dense = [axis for axis in order if shape[axis] > 1]
    step = 1
    for axis in reversed(dense):
        if stride[axis] != step and 0 not in shape:
            raise UnpicklingError("holds a tensor that is a view with gaps, which is not read")
        step *= shape[axis]
    if dense == sorted(dense):
        return None
    return [order.index(axis) for axis in range(len(shape))]


def place_of(tensor: Tensor, archive: zipfile.ZipFile, file: BinaryIO, top: str) -> list[object]:
    """``[dtype, shape, offset, nbytes, axes]`` of a tensor in the file."""
    storage = tensor.storage
    name = f"{top}/data/{storage.key}"
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise UnpicklingError(f"lacks the data {name[:80]!r}") from None
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise UnpicklingError("has its tensors compressed, which PyTorch never does")
    count = math.prod(tensor.shape)
    if tensor.offset + count > storage.numel or storage.numel * storage.itemsize > entry.file_size:
        raise UnpicklingError(f"has a tensor that reaches over the end of {name[:80]!r}")
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise UnpicklingError(f"has no entry {name[:80]!r} where its directory says")
    start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    offset = start + tensor.offset * storage.itemsize
    nbytes = count * storage.itemsize
    return [storage.dtype, list(tensor.shape), offset, nbytes, axes_of(tensor)]


def describe(file: BinaryIO) -> dict[str, object]:
    """What the script prints for an opened checkpoint. Raises ``UnpicklingError``."""
    try:
        archive = zipfile.ZipFile(file)
        names = archive.namelist()
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise UnpicklingError("is a zip archive, and no PyTorch checkpoint")
        top = pickles[0].partition("/")[0]
        if f"{top}/byteorder" in names and _read(archive, f"{top}/byteorder") != b"little":
            raise UnpicklingError("was saved on a machine of the other byte order")
        found, skipped = tensors_in(read_pickle(_read(archive, pickles[0])))
        places = {name: place_of(found[name], archive, file, top) for name in found}
    except (zipfile.BadZipFile, *_UNSOUND) as error:
        raise UnpicklingError(f"is no sound zip archive ({type(error).__name__})") from None
    return {"tensors": places, "skipped": skipped}


_UNSOUND: Final = (
    OSError,
    EOFError,
    OverflowError,
    RuntimeError,
    ValueError,
    zlib.error,
    struct.error,
)
"""What the module ``zipfile`` raises for damage; ``RuntimeError`` where a password is wanted."""


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        content = entry.read(MAX_PICKLE + 1)
    if len(content) > MAX_PICKLE:
        raise UnpicklingError(f"has a pickle of more than {MAX_PICKLE} bytes")
    return content


def _give_up_rights() -> None:
    """From here on: bounded memory and time, and no new file, socket or process."""
    for name in _ENCODINGS:
        codecs.lookup(name)
    try:
        import resource
    except ImportError:  # Windows, where the bounds on steps and sizes have to do
        return
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def main() -> None:
    """Print what lies where in the checkpoint that is the standard input."""
    _give_up_rights()
    try:
        answer = describe(sys.stdin.buffer)
    except UnpicklingError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"takes more than {MEMORY} bytes of memory to read"}
    text = json.dumps(answer)
    if len(text) > MAX_ANSWER:
        text = json.dumps({"error": "has names that are longer than any model's"})
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
