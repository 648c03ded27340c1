"""Atomic functions that WGSL does not have: of floats, and an exchange that never fails by chance.

A float is kept as its bits. One that others changed in between is read and changed again.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from string import Template
from typing import Any, Final

from gpucore.compiler import ir
from gpucore.compiler.emission.wgsl_names import Names
from gpucore.compiler.flexible import close, is_float
from gpucore.wgsl.parser import parse
from gpucore.wgsl.syntax import Function
from gpucore.wgsl.types.kinds import Scalar

__all__ = ["atomic_function", "needs_function"]

_CHANGES: Final = {
    "atomicAdd": "bitcast<f32>($old) + $value",
    "atomicSub": "bitcast<f32>($old) - $value",
    "atomicMin": "min(bitcast<f32>($old), $value)",
    "atomicMax": "max(bitcast<f32>($old), $value)",
}
_CHANGE: Final = Template("""
fn $name($index: u32, $value: f32) -> f32 {
    var $old = atomicLoad(&$array[$index]);
    var $done = $index >= $size;
    while (!$done) {
        let $seen = atomicCompareExchangeWeak(&$array[$index], $old, bitcast<u32>($new));
        $old = $seen.old_value;
        $done = $seen.exchanged;
    }
    return bitcast<f32>($old);
}
""")
_EXCHANGE: Final = Template("""
fn $name($index: u32, $expected: $type, $value: $type) -> $type {
    var $old = atomicLoad(&$array[$index]);
    var $done = $index >= $size;
    while (!$done && $old == $expected_bits) {
        let $seen = atomicCompareExchangeWeak(&$array[$index], $expected_bits, $value_bits);
        $old = $seen.old_value;
        $done = $seen.exchanged;
    }
    return $old_value;
}
""")
_LOCALS: Final = ("index", "value", "expected", "old", "done", "seen")


def needs_function(node: ir.Atomic) -> bool:
    """Tell whether WGSL has no such atomic function itself."""
    exchange = node.function == "atomicCompareExchangeWeak"
    return exchange or (is_float(node.type) and node.function in _CHANGES)


def atomic_function(node: ir.Atomic, name: str, array: str, names: Names, at: int) -> Function:
    """Return the function that an atomic function calls; ``names`` are those around it.

    Outside of the array it changes nothing: engines differ, and some never exchange there.
    """
    type_ = close(node.type)
    assert isinstance(type_, Scalar)
    own = names.child()
    parts = {each: own.unique(each) for each in _LOCALS}
    extents = node.element.array.extents
    parts["size"] = f"{math.prod(extents)}u" if extents else f"arrayLength(&{array})"
    parts |= {"name": name, "array": array, "type": type_.name}
    if node.function in _CHANGES:
        text = _CHANGE.substitute(parts, new=Template(_CHANGES[node.function]).substitute(parts))
    else:
        bits, number = ("bitcast<u32>(%s)", "bitcast<f32>(%s)") if is_float(type_) else ("%s", "%s")
        parts |= {f"{each}_bits": bits % parts[each] for each in ("expected", "value")}
        text = _EXCHANGE.substitute(parts, old_value=number % parts["old"])
    (function,) = parse(text).declarations
    assert isinstance(function, Function)
    placed: Function = _at(function, at)
    return placed


def _at(node: Any, at: int) -> Any:
    """Return a tree whose nodes all stand at one place."""
    if isinstance(node, tuple):
        return tuple(_at(each, at) for each in node)
    if not is_dataclass(node) or isinstance(node, type):
        return node
    parts = {each.name: _at(getattr(node, each.name), at) for each in fields(node)}
    return replace(node, **{**parts, "at": at})
