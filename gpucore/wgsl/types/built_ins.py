"""What the built-in functions take and return.

Most functions are of few families: all arguments have one type ``T``, which is also the result's.
The table names the family of each; `result_of` finds the types for given arguments.
Source: WGSL specification, section 17 (built-in functions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from gpucore.wgsl.types.errors import OverloadError
from gpucore.wgsl.types.kinds import (
    ABSTRACT_FLOAT,
    ABSTRACT_INT,
    BOOL,
    F16,
    F32,
    I32,
    U32,
    Array,
    Atomic,
    Matrix,
    Pointer,
    Scalar,
    Structure,
    Type,
    Vector,
    concrete,
    converts,
    describe,
    is_abstract,
    scalar_of,
    with_scalar,
)

__all__ = ["BUILT_INS", "Signature", "join", "result_of"]


class Signature(NamedTuple):
    """The types that the arguments are converted to, and the result's; None for no result."""

    parameters: tuple[Type, ...]
    result: Type | None


_FLOATS: Final = frozenset((F32, F16, ABSTRACT_FLOAT))
_INTEGERS: Final = frozenset((I32, U32, ABSTRACT_INT))
_NUMBERS: Final = _FLOATS | _INTEGERS

_OF_ONE_FLOAT: Final = """acos acosh asin asinh atan atanh ceil cos cosh degrees exp exp2 floor
    fract inverseSqrt log log2 quantizeToF16 radians round saturate sin sinh sqrt tan tanh
    trunc""".split()
_OF_ONE_INTEGER: Final = """countLeadingZeros countOneBits countTrailingZeros firstLeadingBit
    firstTrailingBit reverseBits""".split()
_PACKS: Final[Mapping[str, tuple[Type, Type]]] = {
    "pack4x8snorm": (Vector(4, F32), U32),
    "pack4x8unorm": (Vector(4, F32), U32),
    "pack4xI8": (Vector(4, I32), U32),
    "pack4xU8": (Vector(4, U32), U32),
    "pack4xI8Clamp": (Vector(4, I32), U32),
    "pack4xU8Clamp": (Vector(4, U32), U32),
    "pack2x16snorm": (Vector(2, F32), U32),
    "pack2x16unorm": (Vector(2, F32), U32),
    "pack2x16float": (Vector(2, F32), U32),
    "unpack4x8snorm": (U32, Vector(4, F32)),
    "unpack4x8unorm": (U32, Vector(4, F32)),
    "unpack4xI8": (U32, Vector(4, I32)),
    "unpack4xU8": (U32, Vector(4, U32)),
    "unpack2x16snorm": (U32, Vector(2, F32)),
    "unpack2x16unorm": (U32, Vector(2, F32)),
    "unpack2x16float": (U32, Vector(2, F32)),
}


def join(types: Sequence[Type]) -> Type | None:
    """Return the type that all of ``types`` convert to, or None."""
    for candidate in types:
        if all(converts(each, candidate) for each in types):
            return candidate
    if types and all(isinstance(each, Scalar) and is_abstract(each) for each in types):
        return ABSTRACT_FLOAT
    return None


def result_of(name: str, types: Sequence[Type]) -> Signature:
    """Return the signature of a built-in function for these arguments. Raises `OverloadError`."""
    signature = BUILT_INS[name](types)
    if signature is None:
        shown = ", ".join(map(describe, types))
        raise OverloadError(f"{name} does not take ({shown}): convert the arguments")
    return signature


Rule = Callable[[Sequence[Type]], "Signature | None"]


def _same(count: int, scalars: frozenset[Scalar], result: Rule | None = None) -> Rule:
    """Return the rule for ``count`` arguments of one type, scalars or vectors of ``scalars``."""

    def rule(types: Sequence[Type]) -> Signature | None:
        joined = join(types) if len(types) == count else None
        if joined is None or isinstance(joined, Matrix):
            return None
        if scalar_of(joined) == ABSTRACT_INT and ABSTRACT_INT not in scalars:
            joined = with_scalar(joined, ABSTRACT_FLOAT)
        if scalar_of(joined) not in scalars:
            return None
        given = (joined,) * count
        return Signature(given, joined) if result is None else result(given)

    return rule


def _to_scalar(types: Sequence[Type]) -> Signature | None:
    return Signature(tuple(types), scalar_of(types[0]))


def _vector_same(types: Sequence[Type]) -> Signature | None:
    return Signature(tuple(types), types[0]) if isinstance(types[0], Vector) else None


def _vector_to_scalar(types: Sequence[Type]) -> Signature | None:
    return _to_scalar(types) if isinstance(types[0], Vector) else None


def _one_signature(result: Type | None, *parameters: Type) -> Rule:
    """Return the rule for one signature."""

    def rule(types: Sequence[Type]) -> Signature | None:
        fits = len(types) == len(parameters) and all(map(converts, types, parameters))
        return Signature(parameters, result) if fits else None

    return rule


def _mix(types: Sequence[Type]) -> Signature | None:
    if len(types) == 3 and isinstance(types[0], Vector) and isinstance(types[2], Scalar):
        joined = join([types[0], types[1], with_scalar(types[0], types[2])])
        scalar = None if joined is None else scalar_of(joined)
        if joined is None or scalar not in _FLOATS:
            return None
        return Signature((joined, joined, scalar), joined)
    return _same(3, _FLOATS)(types)


def _ldexp(types: Sequence[Type]) -> Signature | None:
    if len(types) != 2 or scalar_of(types[0]) not in _FLOATS:
        return None
    exponent = with_scalar(types[0], I32)
    fits = converts(types[1], exponent)
    return Signature((concrete(types[0]), exponent), concrete(types[0])) if fits else None


def _parts(name: str, first: str, second: str, integer: bool) -> Rule:
    """Return the rule of ``frexp`` or ``modf``, whose result is a structure."""

    def rule(types: Sequence[Type]) -> Signature | None:
        found = _same(1, _FLOATS)(types)
        if found is None or found.result is None:
            return None
        value = concrete(found.result)
        other = with_scalar(value, I32) if integer else value
        return Signature((value,), Structure(name, ((first, value), (second, other))))

    return rule


def _extract_bits(types: Sequence[Type]) -> Signature | None:
    if len(types) != 3 or scalar_of(types[0]) not in _INTEGERS:
        return None
    value = concrete(types[0])
    fits = converts(types[1], U32) and converts(types[2], U32)
    return Signature((value, U32, U32), value) if fits else None


def _insert_bits(types: Sequence[Type]) -> Signature | None:
    joined = join(types[:2]) if len(types) == 4 else None
    if joined is None or scalar_of(joined) not in _INTEGERS:
        return None
    fits = converts(types[2], U32) and converts(types[3], U32)
    value = concrete(joined)
    return Signature((value, value, U32, U32), value) if fits else None


def _truth(types: Sequence[Type]) -> Signature | None:
    fits = len(types) == 1 and scalar_of(types[0]) == BOOL
    return Signature(tuple(types), BOOL) if fits else None


def _select(types: Sequence[Type]) -> Signature | None:
    if len(types) != 3:
        return None
    joined = join(types[:2])
    if joined is None:
        return None
    wide = isinstance(joined, Vector) and types[2] == Vector(joined.count, BOOL)
    return Signature((joined, joined, types[2]), joined) if wide or types[2] == BOOL else None


def _transpose(types: Sequence[Type]) -> Signature | None:
    if len(types) != 1 or not isinstance(types[0], Matrix):
        return None
    matrix = types[0]
    return Signature((matrix,), Matrix(matrix.rows, matrix.columns, matrix.scalar))


def _determinant(types: Sequence[Type]) -> Signature | None:
    square = len(types) == 1 and isinstance(types[0], Matrix) and types[0].columns == types[0].rows
    return Signature(tuple(types), scalar_of(types[0])) if square else None


def _refract(types: Sequence[Type]) -> Signature | None:
    joined = join(types[:2]) if len(types) == 3 else None
    scalar = None if joined is None else scalar_of(joined)
    if not isinstance(joined, Vector) or scalar is None or not converts(types[2], scalar):
        return None
    return Signature((joined, joined, scalar), joined)


def _array_length(types: Sequence[Type]) -> Signature | None:
    match types:
        case [Pointer(pointee=Array(count=None))]:
            return Signature(tuple(types), U32)
    return None


def _uniform_load(types: Sequence[Type]) -> Signature | None:
    match types:
        case [Pointer(space="workgroup", pointee=pointee)]:
            value = pointee.scalar if isinstance(pointee, Atomic) else pointee
            return Signature(tuple(types), value)
    return None


def _atomic(count: int, returns: bool = True) -> Rule:
    """Return the rule of an atomic function with ``count`` values behind the pointer."""

    def rule(types: Sequence[Type]) -> Signature | None:
        if len(types) != count + 1:
            return None
        pointer = types[0]
        if not isinstance(pointer, Pointer) or not isinstance(pointer.pointee, Atomic):
            return None
        scalar = pointer.pointee.scalar
        if not all(converts(each, scalar) for each in types[1:]):
            return None
        result: Type | None = scalar if returns else None
        if count == 2:
            members = (("old_value", scalar), ("exchanged", BOOL))
            result = Structure("__atomic_compare_exchange_result", members)
        return Signature((pointer, *[scalar] * count), result)

    return rule


def _one_and_lane(types: Sequence[Type]) -> Signature | None:
    """Return the signature of a function of a value and the number of a lane."""
    if (
        len(types) != 2
        or scalar_of(types[0]) not in _NUMBERS
        or not (converts(types[1], U32) or converts(types[1], I32))
    ):
        return None
    value = concrete(types[0])
    return Signature((value, U32 if converts(types[1], U32) else I32), value)


def _reduction(scalars: frozenset[Scalar]) -> Rule:
    """Return the rule of a reduction, scan or swap over a subgroup."""
    one = _same(1, scalars)

    def rule(types: Sequence[Type]) -> Signature | None:
        return one([concrete(each) for each in types])

    return rule


BUILT_INS: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(_OF_ONE_FLOAT, _same(1, _FLOATS)),
    **dict.fromkeys(_OF_ONE_INTEGER, _same(1, _INTEGERS)),
    **dict.fromkeys(("abs", "sign"), _same(1, _NUMBERS)),
    **dict.fromkeys(("min", "max"), _same(2, _NUMBERS)),
    **dict.fromkeys(("atan2", "pow", "step"), _same(2, _FLOATS)),
    **dict.fromkeys(("fma", "smoothstep"), _same(3, _FLOATS)),
    "clamp": _same(3, _NUMBERS),
    "mix": _mix,
    "ldexp": _ldexp,
    "frexp": _parts("__frexp_result", "fract", "exp", True),
    "modf": _parts("__modf_result", "fract", "whole", False),
    "length": _same(1, _FLOATS, _to_scalar),
    "distance": _same(2, _FLOATS, _to_scalar),
    "dot": _same(2, _NUMBERS, _vector_to_scalar),
    "cross": _same(2, _FLOATS, _vector_same),
    "normalize": _same(1, _FLOATS, _vector_same),
    "reflect": _same(2, _FLOATS, _vector_same),
    "faceForward": _same(3, _FLOATS, _vector_same),
    "refract": _refract,
    "extractBits": _extract_bits,
    "insertBits": _insert_bits,
    "all": _truth,
    "any": _truth,
    "select": _select,
    "transpose": _transpose,
    "determinant": _determinant,
    **{name: _one_signature(result, given) for name, (given, result) in _PACKS.items()},
    "dot4U8Packed": _one_signature(U32, U32, U32),
    "dot4I8Packed": _one_signature(I32, U32, U32),
    "arrayLength": _array_length,
    "workgroupUniformLoad": _uniform_load,
    **dict.fromkeys(("workgroupBarrier", "storageBarrier", "textureBarrier"), _one_signature(None)),
    "atomicLoad": _atomic(0),
    "atomicStore": _atomic(1, returns=False),
    **{
        f"atomic{name}": _atomic(1)
        for name in ("Add", "Sub", "Max", "Min", "And", "Or", "Xor", "Exchange")
    },
    "atomicCompareExchangeWeak": _atomic(2),
    **{
        f"subgroup{name}": _reduction(_NUMBERS)
        for name in (
            *("Add", "ExclusiveAdd", "InclusiveAdd", "Mul", "ExclusiveMul", "InclusiveMul"),
            *("Max", "Min", "BroadcastFirst"),
        )
    },
    **{f"subgroup{name}": _reduction(_INTEGERS) for name in ("And", "Or", "Xor")},
    **{f"quadSwap{name}": _reduction(_NUMBERS) for name in ("X", "Y", "Diagonal")},
    **dict.fromkeys(("subgroupAll", "subgroupAny"), _one_signature(BOOL, BOOL)),
    "subgroupBallot": _one_signature(Vector(4, U32), BOOL),
    "subgroupElect": _one_signature(BOOL),
    **dict.fromkeys(
        (
            *("subgroupBroadcast", "subgroupShuffle", "subgroupShuffleXor", "subgroupShuffleUp"),
            *("subgroupShuffleDown", "quadBroadcast"),
        ),
        _one_and_lane,
    ),
}
"""The functions without template arguments; `bitcast` and those of matrix units have others."""
