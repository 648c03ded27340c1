"""Printed kernels that run: a C++ compiler of the host takes the place of NVRTC and of a card.

``host_cuda.h`` has what CUDA has. The compiler's own checks end a program that overflows a signed
integer, shifts too far or leaves an array.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore.wgsl.c_family.module import print_kernel
from tests.gpucore.test_random_programs import INPUTS, Part, random_part

SHIM = Path(__file__).with_name("host_cuda.h")
COMPILER = shutil.which("g++")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not installed")

HEAD = """
struct Pair { low: u32, high: vec2u }
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> zero: u32;
var<private> calls: u32;
var<workgroup> total: atomic<u32>;
const table = array<u32, 4>(2, 3, 5, 7);
fn next() -> u32 { calls++; return calls; }
fn add_to(p: ptr<function, vec3i>, k: u32) { (*p)[k] += 5; p.y *= 2; }
fn looped(n: u32) -> u32 {
    var sum = 0u;
    var k = 0u;
    loop {
        let twice = 2 * k;
        let here = &x;
        if (k == n) { break; }
        if (k % 2 == 1) { continue; }
        sum += 100;
        continuing { sum += twice + arrayLength(here) - arrayLength(&x); k++; }
    }
    return sum;
}
fn at(p: ptr<storage, array<u32>>, i: u32) -> u32 { let q = p; return (*q)[i] + arrayLength(q); }
fn ahead(p: ptr<storage, array<u32>>, i: u32) -> u32 { return at(p, i + 1); }
fn put(p: ptr<storage, array<u32>, read_write>, i: u32, value: u32) { p[i] = value; (*p)[i] += 1; }
fn stepped(n: i32) -> u32 { var k = n; k++; return select(0u, u32(k), k < n); }
fn chosen(n: u32) -> u32 {
    switch n {
        case 0, 1: { return 10; }
        case 2: { if (zero == 0) { break; } return 20; }
        default: { }
    }
    return 30;
}
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3u) {
    let a = x[id.x]; let b = x[id.y]; let i = i32(a); let j = i32(b);
    let through = &x; let again = through;
    let f = bitcast<f32>(a); let v = vec3i(i, j, 1);
"""


def run(tmp_path: Path, body: str, inputs: NDArray[np.uint32], size: int) -> NDArray[np.uint32]:
    """Run ``body`` for each pair of inputs; return y, which has ``size`` elements."""
    n = len(inputs)
    kernel = print_kernel(f"{HEAD}{body}\n}}", "main", {}, checks=True)
    program = f"""
#include "{SHIM}"
{kernel.text}
int main() {{
    static unsigned x[] = {{{", ".join(f"{value}u" for value in inputs)}}};
    static unsigned y[{size}];
    for (unsigned i = 0; i < {n * n}u; i++) {{
        blockIdx = {{i / {n}u, i % {n}u, 0}};
        w_kernel((const w_runtime<unsigned>*)x, sizeof x, (w_runtime<unsigned>*)y, sizeof y, 0u);
    }}
    for (unsigned value : y) std::printf("%u\\n", value);
}}
"""
    source, binary = tmp_path / "kernel.cpp", tmp_path / "kernel"
    source.write_text(program, encoding="utf-8")
    checks = ["-fsanitize=undefined", "-fno-sanitize-recover=undefined", "-fno-strict-aliasing"]
    assert COMPILER is not None
    command = [COMPILER, "-std=c++20", "-O1", "-w", *checks, "-o", str(binary), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[:2000]
    done = subprocess.run([str(binary)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]
    return np.array(done.stdout.split(), np.uint32)


def test_random_integers(tmp_path: Path) -> None:
    random = Random(11)
    parts: list[Part] = [random_part(random, 3, bool(random.getrandbits(1))) for _ in range(40)]
    n = len(INPUTS)
    lines = [f"y[at + {k}u] = u32({part.text});" for k, part in enumerate(parts)]
    body = "\n".join([f"let at = (id.x * {n}u + id.y) * 40u;", *lines])
    expected = [[[p.value((int(a), int(b))) for p in parts] for b in INPUTS] for a in INPUTS]
    found = run(tmp_path, body, INPUTS, n * n * 40).reshape(n, n, 40)
    wrong = np.argwhere(found != np.array(expected, np.uint32))
    assert not len(wrong), [parts[k].text for k in sorted({int(k) for *_, k in wrong})]


def bits(value: float) -> int:
    """Return the bits of an f32."""
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


LEAST = -(2**31)
CASES: list[tuple[str, int, int, int]] = [
    ("a / b", 7, 0, 7),
    ("a % b", 7, 0, 0),
    ("u32(i / j)", LEAST % 2**32, -1 % 2**32, LEAST % 2**32),
    ("u32(i % j)", LEAST % 2**32, -1 % 2**32, 0),
    ("u32(i / j)", 7, 0, 7),
    ("u32(-7 / (i - 4))", 6, 0, -3 % 2**32),
    ("u32(i % 3)", -7 % 2**32, 0, -1 % 2**32),
    ("a << b", 3, 33, 6),
    ("u32(i >> b)", -8 % 2**32, 33, -4 % 2**32),
    ("u32(i * j)", 65537, 65537, 65537**2 % 2**32),
    ("u32(-i)", LEAST % 2**32, 0, LEAST % 2**32),
    ("u32(abs(i))", LEAST % 2**32, 0, LEAST % 2**32),
    ("u32(f)", bits(-1.5), 0, 0),
    ("u32(f)", bits(5e9), 0, 2**32 - 1),
    ("u32(i32(f))", bits(-5e9), 0, LEAST % 2**32),
    ("u32(i32(f))", bits(-2.9), 0, -2 % 2**32),
    ("bitcast<u32>(f % 2)", bits(-3.5), 0, bits(-1.5)),
    ("bitcast<u32>(round(f))", bits(2.5), 0, bits(2.0)),
    ("bitcast<u32>(fract(f))", bits(-0.25), 0, bits(0.75)),
    ("bitcast<u32>(sign(f))", bits(-7.0), 0, bits(-1.0)),
    ("bitcast<u32>(mix(f, 4, 0.5))", bits(2.0), 0, bits(3.0)),
    ("bitcast<u32>(frexp(f).fract) + u32(frexp(f).exp)", bits(6.0), 0, bits(0.75) + 3),
    ("bitcast<u32>(modf(f).whole)", bits(-6.5), 0, bits(-6.0)),
    ("bitcast<u32>(ldexp(f, j))", bits(1.5), 3, bits(12.0)),
    ("extractBits(a, 4, 8)", 0xABCD, 0, 0xBC),
    ("u32(extractBits(i, 4, 8))", 0xF80, 0, -8 % 2**32),
    ("extractBits(a, 28, 9)", 0xF0000000, 0, 0xF),
    ("insertBits(a, b, 8, 4)", 0xFFFF, 0, 0xF0FF),
    ("insertBits(a, b, 32, 4)", 0xFFFF, 0, 0xFFFF),
    ("firstLeadingBit(a)", 0, 0, 2**32 - 1),
    ("u32(firstLeadingBit(i))", -1 % 2**32, 0, 2**32 - 1),
    ("u32(firstLeadingBit(i))", -5 % 2**32, 0, 2),
    ("firstTrailingBit(a)", 0, 0, 2**32 - 1),
    ("pack4x8unorm(vec4f(0, 1, 0.5, 2))", 0, 0, 0xFF80FF00),
    ("pack4x8snorm(vec4f(-1, 1, 0, -3))", 0, 0, 0x81007F81),
    ("pack4xI8(vec4i(-1, 2, -3, 4))", 0, 0, 0x04FD02FF),
    ("pack4xU8Clamp(vec4u(a, 1, 2, 3))", 999, 0, 0x030201FF),
    ("pack4xI8Clamp(vec4i(i, 200, 0, 0))", -999 % 2**32, 0, 0x00007F80),
    ("u32(unpack4xI8(a).w)", 0xFE000000, 0, -2 % 2**32),
    ("bitcast<u32>(unpack4x8snorm(a).x)", 0x80, 0, bits(-1.0)),
    ("bitcast<u32>(unpack2x16snorm(a).y)", 0x7FFF0000, 0, bits(1.0)),
    ("pack2x16unorm(vec2f(1, 0))", 0, 0, 0xFFFF),
    ("dot4U8Packed(a, b)", 0x01020304, 0x01010101, 10),
    ("u32(dot4I8Packed(a, b))", 0xFF020304, 0x01010101, 8),
    ("u32(dot(v, vec3(1, 2, 3)))", 4, 5, 17),
    ("v.zyx.z + 1 == i + 1", 9, 0, 1),
    ("vec3u(v)[b % 3]", 4, 1, 1),
    ("all(v == v) && any(v > vec3(100))", 101, 0, 1),
    ("table[b]", 0, 3, 7),
    ("table[b]", 0, 9, 7),
    ("x[b + 1000] - x[arrayLength(&x) - 1]", 5, 6, 0),
    ("looped(a)", 5, 0, 320),
    ("(*through)[b]", 5, 900, 2**32 - 1),
    ("arrayLength(again) - arrayLength(&x)", 5, 0, 0),
    ("chosen(a)", 1, 0, 10),
    ("chosen(a)", 2, 0, 30),
    ("next() * 10 + next()", 0, 0, 12),
    ("stepped(i)", 2**31 - 1, 0, 2**31),
    ("atomicAdd(&total, 3) + atomicLoad(&total)", 0, 0, 3),
    ("Pair(1, vec2(2, b)).high.y", 0, 8, 8),
    ("u32(transpose(mat2x3f(1, 2, 3, 4, 5, 6))[1].y)", 0, 0, 5),
    ("u32((mat2x2f(1, 2, 3, 4) * vec2f(1, f)).x)", bits(2.0), 0, 7),
    ("u32(determinant(mat3x3f(2, 0, 0, 0, 3, 0, 0, 0, f)))", bits(4.0), 0, 24),
]


def test_functions_and_statements(tmp_path: Path) -> None:
    """Each case has inputs a and b; the expected numbers are those of the specification."""
    inputs = np.unique(np.array([case[1:3] for case in CASES], np.uint32))
    lines = []
    for k, (expression, a, b, _) in enumerate(CASES):
        truth = any(sign in expression for sign in ("==", "&&"))
        text = f"select(0u, 1u, {expression})" if truth else expression
        lines.append(f"if a == {a}u && b == {b}u {{ y[{k}] = {text}; }}")
    found = run(tmp_path, "\n".join(lines), inputs, len(CASES))
    wrong = [
        f"{case[0]} of {case[1]:#x}, {case[2]:#x}: {result:#x}, not {case[3]:#x}"
        for case, result in zip(CASES, map(int, found), strict=True)
        if result != case[3]
    ]
    assert wrong == []


def test_what_steps_past_the_end_is_dropped(tmp_path: Path) -> None:
    found = run(tmp_path, "y[a + zero]++; y[a] -= 1u; y[b]++;", np.array([1, 9], np.uint32), 3)
    assert found.tolist() == [0, 2, 0]


def test_pointers_to_variables(tmp_path: Path) -> None:
    body = "var w = v; add_to(&w, 1); y[id.x * 2 + id.y] = u32(w.y) + zero;"
    found = run(tmp_path, body, np.array([3, 4], np.uint32), 4)
    assert found.tolist() == [(b + 5) * 2 for b in (3, 4, 3, 4)]


def test_pointers_to_buffers(tmp_path: Path) -> None:
    """Their length is known: past it, the last element is read, and nothing is written."""
    body = "put(&y, id.x * 2 + id.y * 7, ahead(&x, id.x) + arrayLength(&y) + zero);"
    found = run(tmp_path, body, np.array([3, 4], np.uint32), 9)
    assert found.tolist() == [16, 0, 16, 0, 0, 0, 0, 16, 0], "4 + 2 + 9 + 1; one place is past y"
