"""Random WGSL programs on integers: every engine computes what Python's integers say.

The reference evaluates the same tree with the rules of the WGSL specification, section 8.7: results
wrap modulo 2^32. Divisors are positive and shifts below 32, since Dawn is opened without the code
that gives others a result.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import numpy as np
import pytest

from gpucore import Device, u32

INPUTS = np.array(
    [0, 1, 2, 3, 31, 32, 255, 65535, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1, 12345],
    np.uint32,
)
Numbers = tuple[int, int]
MASK = 2**32 - 1


class Part(NamedTuple):
    """An expression of u32 or i32, and its value for two inputs, as a number modulo 2^32."""

    text: str
    signed: bool
    value: Callable[[Numbers], int]


def as_signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value


def quotient(a: int, b: int) -> int:
    """Divide by a positive number and round towards zero."""
    return a // b if a >= 0 else -(-a // b)


def leading_bit(a: int, signed: bool) -> int:
    """Return the place of the highest bit that differs from the sign, else -1."""
    return (~a if signed and a < 0 else a).bit_length() - 1


BINARY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": quotient,
    "%": lambda a, b: a - b * quotient(a, b),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "min": min,
    "max": max,
}
UNARY: dict[str, Callable[[int, bool], int]] = {
    "~": lambda a, signed: ~a,
    "countOneBits": lambda a, signed: (a & MASK).bit_count(),
    "countLeadingZeros": lambda a, signed: 32 - (a & MASK).bit_length(),
    "countTrailingZeros": lambda a, signed: ((a & -a) & MASK).bit_length() - 1 if a else 32,
    "firstLeadingBit": leading_bit,
    "reverseBits": lambda a, signed: int(f"{a & MASK:032b}"[::-1], 2),
    "abs": lambda a, signed: abs(a),
}


def number(part: Part, inputs: Numbers) -> int:
    """Return a part's value with its sign."""
    value = part.value(inputs)
    return as_signed(value) if part.signed else value


def random_part(random: Random, depth: int, signed: bool) -> Part:
    """Return a random expression of one type."""
    if depth == 0:
        return leaf(random, signed)
    kind = random.choice(("binary", "binary", "unary", "shift", "select", "convert"))
    one = random_part(random, depth - 1, signed)
    if kind == "unary":
        name = random.choice(list(UNARY))
        call = f"~({one.text})" if name == "~" else f"{name}({one.text})"
        return Part(call, signed, lambda i: UNARY[name](number(one, i), signed) & MASK)
    if kind == "convert":
        inner = random_part(random, depth - 1, not signed)
        return Part(f"{'i32' if signed else 'u32'}({inner.text})", signed, inner.value)
    other = random_part(random, depth - 1, signed and kind != "shift")
    if kind == "shift":
        left = random.random() < 0.5

        def shifted(i: Numbers) -> int:
            count = other.value(i) % 32
            value = number(one, i)
            return (value << count if left else value >> count) & MASK

        return Part(
            f"(({one.text}) {'<<' if left else '>>'} (({other.text}) & 31u))", signed, shifted
        )
    if kind == "select":
        text = f"select({one.text}, {other.text}, ({one.text}) < ({other.text}))"
        return Part(
            text, signed, lambda i: (other if number(one, i) < number(other, i) else one).value(i)
        )
    name = random.choice(list(BINARY))
    if name in ("/", "%"):
        other = positive(other)
    call = f"{name}({one.text}, {other.text})" if name.isalpha() else ""
    text = call or f"(({one.text}) {name} ({other.text}))"
    return Part(text, signed, lambda i: BINARY[name](number(one, i), number(other, i)) & MASK)


def positive(part: Part) -> Part:
    """Return a part's low bits, of which the lowest is set."""
    return Part(f"((({part.text}) & 1023) | 1)", part.signed, lambda i: part.value(i) & 1023 | 1)


def leaf(random: Random, signed: bool) -> Part:
    """Return an input or a number; never a constant alone, which is checked at its compilation."""
    which = random.randrange(3)
    if which < 2:
        name = "ab"[which]
        return Part(f"i32({name})" if signed else name, signed, lambda i: i[which])
    value = random.choice((1, 2, 7, 31, 1000))
    zero = "i32(zero)" if signed else "zero"
    return Part(f"({zero} + {value})", signed, lambda i: value)


@pytest.mark.parametrize("seed", range(3))
def test_integers_are_those_of_python(device: Device, seed: int) -> None:
    if device.info.api == "gl":
        pytest.skip("wgpu-native 29 errs on OpenGL in i32 % of negative numbers and abs of u32")
    random = Random(seed)
    parts = [random_part(random, 3, bool(random.getrandbits(1))) for _ in range(24)]
    lines = "\n".join(f"y[at + {k}u] = u32({part.text});" for k, part in enumerate(parts))
    source = f"""
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> zero: u32;
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) {{
    let a = x[id.x];
    let b = x[id.y];
    let at = (id.x * {len(INPUTS)}u + id.y) * {len(parts)}u;
    {lines}
}}
"""
    n = len(INPUTS)
    y = device.buffer(u32, (n, n, len(parts)))
    y.write(np.full(y.shape, 77, np.uint32))
    kernel = device.compile_kernel(source)
    kernel(device.buffer_from_array(INPUTS), y, 0, grid=(n, n))
    expected = [[[p.value((int(a), int(b))) for p in parts] for b in INPUTS] for a in INPUTS]
    wrong = np.argwhere(y.read() != np.array(expected, np.uint32))
    assert not len(wrong), [parts[k].text for k in sorted({int(k) for *_, k in wrong})]
