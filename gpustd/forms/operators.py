"""The functions of a form: its operator, what is done with elements before, and at the end."""

from __future__ import annotations

import ast
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gpucore import ArgumentError, Buffer, DType, DTypeError
from gpucore.compiler.dependencies import Dependencies
from gpucore.compiler.device_code import DeviceCall, DeviceCode, compile_functions
from gpucore.compiler.emission.beyond_numbers import beyond_word
from gpucore.compiler.known_numbers import known_number
from gpucore.compiler.source import FunctionSource, read_function
from gpucore.dtypes import DTYPES, c64, f16
from gpustd.arrays.expressions.parameters import COMPUTED
from gpustd.arrays.folds.operator import Operator

__all__ = ["BoundForm", "FormFunctions", "Identity", "source_of"]

Identity = int | float | tuple[int | float, ...]
"""The neutral element of an operator: a number, or one for each component of a vector."""

_LIMITS: Final = {"i32": (-(2**31), 2**31 - 1), "u32": (0, 2**32 - 1)}
_LARGEST: Final = 3.4028234663852886e38
_SAME_BOTH_WAYS: Final = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)


@dataclass(frozen=True)
class BoundForm:
    """A form for operands of some dtypes.

    ``acc`` is the type in WGSL that the operator computes in, ``result`` the dtype of results.
    """

    operator: Operator
    kinds: tuple[str, ...]
    acc: str
    result: type[DType]

    @property
    def is_plain(self) -> bool:
        """True for one operand and an operator of numbers, which the templates of sums take."""
        return len(self.kinds) == 1 and "<" not in self.acc and self.kinds[0] != "c64"

    @property
    def element(self) -> str:
        """The type in WGSL of an element of the first operand."""
        return COMPUTED[self.kinds[0]]

    @property
    def parameters(self) -> str:
        """The operands as a list of WGSL's, ``"p0: f32, p1: i32"``."""
        return ", ".join(f"p{i}: {kind}" for i, kind in enumerate(self.kinds))

    @property
    def texts(self) -> dict[str, str]:
        """The texts that kernels of expressions take: map, identity, finish, accumulator."""
        names = ", ".join(f"p{i}" for i in range(len(self.kinds)))
        operator = self.operator
        return {
            "map": f"{operator.mapped}({names})" if operator.mapped else names,
            "identity": operator.identity,
            "finish": f"{operator.finished}(a)" if operator.finished else "a",
            "accumulator": self.acc,
        }


class FormFunctions:
    """An operator with its identity, ``map`` and ``finish``; compiled once for each set of dtypes.

    A function that changes, as in a notebook, is compiled again.
    """

    def __init__(
        self,
        operator: Callable[..., Any],
        identity: Identity,
        map_: Callable[..., Any] | None,
        finish: Callable[..., Any] | None,
    ) -> None:
        self.name = str(getattr(operator, "__name__", "operator"))
        self.operator, self.map, self.finish = operator, map_, finish
        self._identity = identity
        self._given = operator, map_, finish
        self._bound: dict[tuple[str, ...], BoundForm] = {}
        self._dependencies: list[Dependencies] = []

    def bind(self, operands: Sequence[Any]) -> BoundForm:
        """Return the form for operands. Raises `ArgumentError`, `DTypeError`.

        Raises `PythonKernelError` where a function does not fit the operands.
        """
        kinds = self._kinds(operands)
        if any(each.changed for each in self._dependencies):
            self._bound.clear()
        if kinds not in self._bound:
            self._bound[kinds] = self._bind(kinds)
        return self._bound[kinds]

    @property
    def forms(self) -> list[BoundForm]:
        """The forms that have been bound since a function last changed."""
        return list(self._bound.values())

    def source(self, *kinds: str) -> str:
        """Return the functions in WGSL for operands of dtypes by name, such as f32."""
        return self._compile(kinds or ("f32",)).wgsl

    @property
    def adds(self) -> bool:
        """True where the text of the operator is ``return a + b``."""
        return self._is_one((ast.Add,))

    @property
    def without_finish(self) -> FormFunctions:
        """The same form, which ends before ``finish``."""
        return FormFunctions(self.operator, self._identity, self.map, None)

    @property
    def commutes(self) -> bool:
        """True where the text shows it: ``return a + b``, or another such operator."""
        return self._is_one(_SAME_BOTH_WAYS)

    def _is_one(self, operators: tuple[type[ast.operator], ...]) -> bool:
        """Tell whether the text is one of some operators between both parameters."""
        tree = source_of(self._given[0]).tree
        body = [each for each in tree.body if not _is_text(each)]
        names = sorted(each.arg for each in tree.args.args)
        match body:
            case [ast.Return(value=ast.BinOp(ast.Name(id=left), operator, ast.Name(id=right)))]:
                return isinstance(operator, operators) and sorted((left, right)) == names
        return False

    def _kinds(self, operands: Sequence[Any]) -> tuple[str, ...]:
        """Return the dtypes by name; those of numbers follow from Python's type."""
        map_ = self._given[1]
        count = 1 if map_ is None else len(source_of(map_).tree.args.args)
        if len(operands) != count:
            raise ArgumentError(f"{self.name}: there must be {count} operands, got {len(operands)}")
        if not any(isinstance(each, Buffer) for each in operands):
            raise ArgumentError(
                f"{self.name}: there must be a Buffer, got {operands!r}; upload an array with "
                "device.buffer_from_array(array)"
            )
        return tuple(
            each.dtype.name if isinstance(each, Buffer) else _kind_of_number(self.name, each)
            for each in operands
        )

    def _compile(self, kinds: tuple[str, ...]) -> DeviceCode:
        operator, map_, finish = (None if f is None else source_of(f) for f in self._given)
        assert operator is not None
        elements = tuple(COMPUTED[each] for each in kinds)
        calls = [] if map_ is None else [DeviceCall(map_, elements)]
        calls.append(DeviceCall(operator, (None, None) if calls else (elements[0],) * 2))
        if finish is not None:
            calls.append(DeviceCall(finish, (None,)))
        self._dependencies = [Dependencies(each.source) for each in calls]
        code = compile_functions(tuple(calls))
        at = 0 if map_ is None else 1
        acc = code.results[0] if map_ is not None else elements[0]
        if code.results[at] != acc:
            raise DTypeError(
                f"{self.name}: the operator must return what it takes, {acc}, got "
                f"{code.results[at]}"
            )
        return code

    def _bind(self, kinds: tuple[str, ...]) -> BoundForm:
        code = self._compile(kinds)
        names = list(code.names)
        mapped = names.pop(0) if self._given[1] is not None else ""
        finished = names.pop() if self._given[2] is not None else ""
        acc = code.results[0] if mapped else COMPUTED[kinds[0]]
        identity, declared = _identity_text(self.name, self._identity, acc)
        text = code.wgsl + declared
        operator = Operator(self.name, text, names[0], identity, mapped, finished)
        result = _result_dtype(self.name, kinds, code.results[-1])
        return BoundForm(operator, kinds, acc, result)


def source_of(function: Callable[..., Any]) -> FunctionSource:
    """Return the source of a function, decorated with ``gpu_function`` or not."""
    source = getattr(function, "gpu_source", None)
    found = source() if callable(source) else read_function(function)
    assert isinstance(found, FunctionSource)
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _kind_of_number(op: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"{op}: operands must be Buffers or numbers, got {value!r}")
    return "i32" if isinstance(value, int) else "f32"


def _identity_text(op: str, identity: Any, acc: str) -> tuple[str, str]:
    """Return the identity in WGSL, and the functions that it calls.

    Raises `ArgumentError` unless it is of the type ``acc``.
    """
    given = identity if isinstance(identity, tuple) else (identity,)
    scalar = acc.partition("<")[2].rstrip(">") or acc
    count = int(acc[3]) if "<" in acc else 1
    parts = [number for each in given if _is_of(number := known_number(each), scalar)]
    if len(given) != count or len(parts) != count:
        noun = "a number of f32" if scalar == "f32" else f"an integer of {scalar}"
        wanted = noun if count == 1 else f"{count} of those that {acc} has, as a tuple"
        raise ArgumentError(f"{op}: identity must be {wanted}, got {identity!r}")
    names = [_function_name(each) for each in parts]
    texts = [f"{name}()" if name else repr(each) for name, each in zip(names, parts, strict=True)]
    declared = {
        name: float(each)
        for name, each in zip(names, parts, strict=True)
        if name and each is not None
    }
    functions = "".join(_bits_function(*each) for each in declared.items())
    return ", ".join(f"{scalar}({each})" for each in texts), functions


def _function_name(value: Any) -> str | None:
    """Return the name of the function that gives a float without a literal in WGSL, or None."""
    word = beyond_word(value)
    if word is None:
        return None
    return f"identity_{'minus_' if value < 0 else ''}{word}_"


def _bits_function(name: str, value: float) -> str:
    """Return the function that gives a float by its bits, which no compiler looks into."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return f"\nfn {name}() -> f32 {{\n    var bits = {bits}u;\n    return bitcast<f32>(bits);\n}}\n"


def _is_of(value: Any, scalar: str) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if scalar == "f32":
        return math.isinf(value) or abs(value) <= _LARGEST
    low, high = _LIMITS[scalar]
    return isinstance(value, int) and low <= value <= high


def _result_dtype(op: str, kinds: Sequence[str], given: str) -> type[DType]:
    """Return the dtype of results: f16 of f16 alone. Raises `DTypeError` for vectors."""
    if given == "vec2<f32>":
        return c64
    if "<" in given:
        raise DTypeError(
            f"{op}: results must be numbers, got {given}; give finish, which makes a number of it"
        )
    return f16 if given == "f32" and set(kinds) == {"f16"} else DTYPES[given]
