"""A stack machine for pickles that builds data and nothing else."""

import pickletools
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, Final

from .calls import CALLS, ONLY_NAMED, PARAMETER_DICT
from .tensors import MAX_TENSORS
from .values import (
    ELEMENT_TYPES,
    Name,
    Opaque,
    Parameters,
    Storage,
    as_key,
    as_natural,
    describe,
)

MAX_STEPS: Final = 40 * MAX_TENSORS
"""PyTorch writes up to 30 instructions a tensor."""


class _Machine:
    """A stack machine for pickles that builds data and nothing else."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, pickle: bytes) -> object:
        """Return the value that the pickle describes. Raises ``UnpicklingError``."""
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
                raise UnpicklingError(f"has the instruction {name}, which is not supported")
        raise UnpicklingError("has no end")

    def _pop_items(self) -> list[Any]:
        """Take everything above the last mark off the stack."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _mark(self, _: object) -> None:
        self._marks.append(len(self._stack))

    def _pop(self, _: object) -> None:
        self._stack.pop()

    def _pop_mark(self, _: object) -> None:
        self._pop_items()

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
            self._stack.append(tuple(self._pop_items()))
        else:
            items = self._stack[len(self._stack) - count :]
            del self._stack[len(self._stack) - count :]
            self._stack.append(tuple(items))

    def _list(self, _: object) -> None:
        self._stack.append(self._pop_items())

    def _dict(self, _: object) -> None:
        items = self._pop_items()
        self._stack.append({})
        self._set_pairs(items)

    def _set_items(self, _: object) -> None:
        self._set_pairs(self._pop_items())

    def _set_item(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_pairs([key, value])

    def _set_pairs(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise UnpicklingError("puts items into a value that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[as_key(key)] = value

    def _append(self, _: object) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, _: object) -> None:
        self._extend(self._pop_items())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise UnpicklingError("appends to a value that is no list")
        target.extend(items)

    def _global(self, module_and_name: str) -> None:
        module, _, name = module_and_name.partition(" ")
        self._push_name(module, name)

    def _stack_global(self, _: object) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._push_name(module, name)

    def _push_name(self, module: object, name: object) -> None:
        if isinstance(module, str) and isinstance(name, str):
            found = Name(module, name)
            if found in CALLS or found in ONLY_NAMED:
                self._stack.append(found)
                return
        raise UnpicklingError(f"asks for {f'{module}.{name}'[:80]!r}, which no model needs")

    def _reduce(self, _: object) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        call = CALLS.get(called) if isinstance(called, Name) else None
        if call is None or not isinstance(arguments, tuple):
            raise UnpicklingError(f"calls {describe(called)}, which is not allowed")
        self._stack.append(call(*arguments))

    def _new_object(self, _: object) -> None:
        arguments, kind = self._stack.pop(), self._stack.pop()
        if kind != PARAMETER_DICT or arguments != ():
            raise UnpicklingError(f"makes a {describe(kind)}, which is not allowed")
        self._stack.append(Parameters())

    def _build(self, _: object) -> None:
        """Drop an object's attributes, such as torch's ``_metadata`` of dictionaries.

        Those of a ParameterDict hold its tensors, which are kept.
        """
        attributes = self._stack.pop()
        if isinstance(self._stack[-1], Parameters):
            tensors = attributes.get("_parameters") if isinstance(attributes, dict) else None
            if not isinstance(tensors, dict):
                raise UnpicklingError("holds a ParameterDict of an unknown form")
            self._stack[-1].update(tensors)
        if not isinstance(self._stack[-1], dict | Opaque):
            raise UnpicklingError("sets attributes of an object of an unknown kind")

    def _persistent(self, _: object) -> None:
        match self._stack.pop():
            case ("storage", Name(name=kind), str(key), str(), int(numel)) if kind in ELEMENT_TYPES:
                self._stack.append(Storage(*ELEMENT_TYPES[kind], key, as_natural(numel)))
            case other:
                raise UnpicklingError(f"refers to {describe(other)}, which is not a storage")


_PUSHED: Final = frozenset(
    "INT LONG LONG1 LONG4 BININT BININT1 BININT2 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
"""Instructions that push their argument."""


def _make_push(make: Callable[[], object]) -> Callable[[_Machine, Any], None]:
    """Return the step that pushes what ``make`` returns."""
    return lambda machine, _: machine._stack.append(make())


def _make_tuple(count: int | None) -> Callable[[_Machine, Any], None]:
    """Return the step that makes a tuple of ``count`` items, or of all above the last mark."""
    return lambda machine, _: machine._tuple(count)


_STEPS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "PROTO": lambda *_: None,
    "FRAME": lambda *_: None,
    "MARK": _Machine._mark,
    "POP": _Machine._pop,
    "POP_MARK": _Machine._pop_mark,
    "DUP": _Machine._copy,
    "NONE": _make_push(lambda: None),
    "NEWTRUE": _make_push(lambda: True),
    "NEWFALSE": _make_push(lambda: False),
    "EMPTY_TUPLE": _make_push(tuple),
    "EMPTY_LIST": _make_push(list),
    "EMPTY_DICT": _make_push(dict),
    "TUPLE": _make_tuple(None),
    "TUPLE1": _make_tuple(1),
    "TUPLE2": _make_tuple(2),
    "TUPLE3": _make_tuple(3),
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
    "NEWOBJ": _Machine._new_object,
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}


def read_pickle(pickle: bytes) -> object:
    """Return the data that a pickle describes. Raises ``UnpicklingError``."""
    try:
        return _Machine().run(pickle)
    except (IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnpicklingError(f"is not a valid pickle ({type(error).__name__})") from None
