"""Functions of subgroups in WGSL's words, and what they take.

Source: WGSL specification, section 17.12 (subgroup built-in functions).
"""

from __future__ import annotations

from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import describe_type, is_bool, is_integer, is_number, meet, seen
from gpucore.compiler.lowering.operators import literal_of
from gpucore.wgsl.types.kinds import BOOL, I32, U32, Matrix, Vector

__all__ = ["SUBGROUP_FUNCTIONS", "call_subgroup_function"]

_OF_NUMBERS: Final = (
    *("add", "mul", "min", "max", "broadcast_first"),
    *("inclusive_add", "exclusive_add", "inclusive_mul", "exclusive_mul"),
)
_OF_BITS: Final = ("and", "or", "xor")
_FROM_LANES: Final = ("broadcast", "shuffle", "shuffle_up", "shuffle_down", "shuffle_xor")
_OF_CONDITIONS: Final = ("any", "all", "ballot")
_PREFIX: Final = "subgroup_"
_MOST_LANES: Final = 128

SUBGROUP_FUNCTIONS: Final = frozenset(
    _PREFIX + name for name in (*_OF_NUMBERS, *_OF_BITS, *_FROM_LANES, *_OF_CONDITIONS, "elect")
)
"""The names of the functions in Python."""


def call_subgroup_function(name: str, parts: list[ir.Expression], place: Place) -> ir.Expression:
    """Return a call of a function of a subgroup. Raises `KernelTypeError`."""
    word = name.removeprefix(_PREFIX)
    wgsl = "subgroup" + "".join(each.capitalize() for each in word.split("_"))
    count = 0 if word == "elect" else 2 if word in _FROM_LANES else 1
    if len(parts) != count:
        noun = "argument" if count == 1 else "arguments"
        raise KernelTypeError(f"{name} takes {count} {noun}, got {len(parts)}", place)
    if word == "elect":
        return _elect(place)
    value = parts[0]
    if word in _OF_CONDITIONS:
        if not is_bool(value.type):
            raise KernelTypeError(
                f"{name} takes a bool, got {describe_type(value.type)}: write a comparison, such "
                "as x > 0",
                value.place,
            )
        result = Vector(4, U32) if word == "ballot" else BOOL
        return ir.Call(result, place, wgsl, (value,))
    _require_value(name, word, value)
    if word in _FROM_LANES:
        _require_lane(name, word, parts[1])
    return ir.Call(value.type, place, wgsl, tuple(parts))


def _elect(place: Place) -> ir.Expression:
    """Return a comparison with the first lane: wgpu-native does not know subgroupElect."""
    lane = ir.BuiltIn(U32, place, "subgroup_invocation_id")
    first = ir.Call(U32, place, "subgroupBroadcastFirst", (lane,))
    return ir.Binary(BOOL, place, "==", first, lane)


def _require_value(name: str, word: str, value: ir.Expression) -> None:
    """Raise `KernelTypeError` unless a value is a number or a vector that a function takes."""
    right = is_integer(value.type) if word in _OF_BITS else is_number(value.type)
    if not right or isinstance(seen(value.type), Matrix):
        wanted = "i32, u32, or vectors of them" if word in _OF_BITS else "numbers and vectors"
        raise KernelTypeError(
            f"{name} takes {wanted}, got {describe_type(value.type)}", value.place
        )


def _require_lane(name: str, word: str, lane: ir.Expression) -> None:
    """Raise `KernelTypeError` unless the lane is an integer; that of broadcast must be known."""
    if isinstance(seen(lane.type), Vector) or not is_integer(lane.type):
        raise KernelTypeError(
            f"{name} takes an integer second, got {describe_type(lane.type)}: convert it, as "
            "u32(...)",
            lane.place,
        )
    number = literal_of(lane)
    if number is not None and not 0 <= number < _MOST_LANES:
        raise KernelTypeError(f"{name} takes a lane from 0 to 127, got {number}", lane.place)
    if word == "broadcast" and not isinstance(lane, ir.Constant):
        raise KernelTypeError(
            "the lane of subgroup_broadcast must be known before the launch: write "
            "subgroup_shuffle(value, lane), which takes any",
            lane.place,
        )
    if word != "broadcast" and seen(lane.type) == I32:
        raise KernelTypeError(
            f"{name} takes u32 second, got i32: convert it, as u32(...)", lane.place
        )
    meet(lane.type, U32)
