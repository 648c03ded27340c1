"""Small kernels with one defect each: what the sanitizer must find, and in which line.

The line is the one that ends in the comment ``// HERE``. ``x`` holds 64 numbers from 0, and ``y``
is empty; both have 64 elements. A workgroup has 16 invocations, and there are four.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DEFECTS", "Defect", "kernel_text"]

HEAD = """\
@group(0) @binding(0) var<storage, read> x: array<{type}>;
@group(0) @binding(1) var<storage, read_write> y: array<{type}>;
"""
ENTRY = """
@compute @workgroup_size(16)
fn main(
    @builtin(global_invocation_id) id: vec3u,
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3u,
) {
    let i = id.x;
    _ = x[i];
"""


class Defect(NamedTuple):
    """A kernel: its body, what it declares, its type of numbers, and what is found."""

    kind: str
    body: str
    declares: str = ""
    type: str = "u32"
    variable: str = ""
    place: int | None = None


def kernel_text(defect: Defect) -> str:
    """Return the WGSL of a defect."""
    head = HEAD.format(type=defect.type) + defect.declares
    lines = "\n".join(f"    {line}" for line in defect.body.strip().splitlines())
    return f"{head}{ENTRY}{lines}\n}}\n"


TILE = "var<workgroup> tile: array<u32, 16>;\n"
HERE = "// HERE"

DEFECTS: dict[str, Defect] = {
    "a read past the end": Defect("bounds", f"y[i] = x[i + 1u]; {HERE}", variable="x", place=64),
    "a write past the end": Defect("bounds", f"y[2u * i] = x[i]; {HERE}", variable="y", place=64),
    "an index below zero": Defect(
        "bounds", f"y[i] = x[i32(i) - 1]; {HERE}", variable="x", place=-1
    ),
    "a private array": Defect(
        "bounds",
        f"var parts = array<u32, 4>(1u, 2u, 3u, 4u);\ny[i] = parts[lane / 3u]; {HERE}",
        variable="parts",
        place=4,
    ),
    "a component": Defect("bounds", f"var v = vec4u(i);\ny[i] = v[lane]; {HERE}", place=4),
    "shared memory": Defect(
        "bounds", f"tile[lane + 1u] = x[i]; {HERE}\ny[i] = 0u;", TILE, variable="tile", place=16
    ),
    "an inner array": Defect(
        "bounds",
        f"grid[lane / 4u][lane] = x[i]; {HERE}\ny[i] = 0u;",
        "var<workgroup> grid: array<array<u32, 4>, 4>;\n",
        place=4,
    ),
    "in a called function": Defect(
        "bounds", "y[i] = next(i);", f"fn next(i: u32) -> u32 {{ return x[i + 1u]; }} {HERE}\n"
    ),
    "through a pointer": Defect(
        "bounds",
        "var parts = array<u32, 4>();\ny[i] = last(&parts, lane);",
        f"fn last(p: ptr<function, array<u32, 4>>, n: u32) -> u32 {{ return (*p)[n]; }} {HERE}\n",
    ),
    "behind a condition that does not guard": Defect(
        "bounds", f"if (i <= 64u || x[i + 9u] > 0u) {{ y[i] = x[i + 60u]; }} {HERE}"
    ),
    "neighbours in shared memory": Defect(
        "race",
        f"tile[lane] = x[i];\ny[i] = tile[lane ^ 1u]; {HERE}",
        TILE,
        variable="tile",
    ),
    "two writers": Defect("race", f"tile[lane / 2u] = i; {HERE}\ny[i] = 0u;", TILE),
    "a write after reads": Defect(
        "race",
        f"tile[lane] = i;\nworkgroupBarrier();\nlet v = tile[15u - lane];\ntile[lane] = v; {HERE}\n"
        "y[i] = v;",
        TILE,
    ),
    "a write by the last of the readers": Defect(
        "race",
        "tile[lane] = i;\nworkgroupBarrier();\nlet v = tile[0];\n"
        f"if (lane == 15u) {{ tile[0] = v + 1u; }} {HERE}\ny[i] = v;",
        TILE,
    ),
    "a sum by all": Defect("race", f"y[0] = y[0] + x[i]; {HERE}", "", variable="y", place=0),
    "two workgroups": Defect("race", f"y[lane] = x[i]; {HERE}", variable="y"),
    "a barrier of the wrong memory": Defect(
        "race", f"y[i] = x[i];\nworkgroupBarrier();\nlet v = y[i ^ 1u]; {HERE}\ny[i + 0u * v] = v;"
    ),
    "a barrier does not span workgroups": Defect(
        "race", f"y[i] = x[i];\nstorageBarrier();\nlet v = y[63u - i]; {HERE}\n_ = v;"
    ),
    "a reduction with a barrier too few": Defect(
        "race",
        "tile[lane] = x[i];\nworkgroupBarrier();\nfor (var n = 8u; n > 0u; n /= 2u) {\n"
        f"    if (lane < n) {{ tile[lane] += tile[lane + n]; }} {HERE}\n}}\ny[i] = tile[0];",
        TILE,
    ),
    "shared memory that nobody wrote": Defect(
        "uninitialized", f"y[i] = tile[lane]; {HERE}", TILE, variable="tile"
    ),
    "a count from nothing": Defect(
        "uninitialized",
        f"let n = atomicAdd(&count, 1u); {HERE}\ny[i] = n;",
        "var<workgroup> count: atomic<u32>;\n",
        variable="count",
    ),
    "a flag that nobody set": Defect(
        "uninitialized",
        f"y[i] = atomicLoad(&flags[lane / 8u]); {HERE}",
        "var<workgroup> flags: array<atomic<u32>, 2>;\n",
        variable="flags",
        place=0,
    ),
    "half of shared memory": Defect(
        "uninitialized",
        f"if (lane < 8u) {{ tile[lane] = i; }}\nworkgroupBarrier();\ny[i] = tile[lane]; {HERE}",
        TILE,
        variable="tile",
        place=8,
    ),
    "an empty buffer": Defect("uninitialized", f"y[i] += x[i]; {HERE}", variable="y", place=0),
    "a barrier in a branch": Defect(
        "barrier", f"if (lane < 8u) {{\n    workgroupBarrier(); {HERE}\n}}\ny[i] = x[i];"
    ),
    "a barrier after a return": Defect(
        "barrier", f"if (i == 5u) {{ return; }}\nworkgroupBarrier(); {HERE}\ny[i] = x[i];"
    ),
    "a barrier in a loop": Defect(
        "barrier",
        f"for (var n = 0u; n < lane; n++) {{\n    storageBarrier(); {HERE}\n}}\ny[i] = x[i];",
    ),
    "a sum of i32": Defect("overflow", f"y[i] = x[i] + 2147483600; {HERE}", type="i32"),
    "a product of i32": Defect("overflow", f"y[i] = x[i] * 100000000; {HERE}", type="i32"),
    "the least number's sign": Defect(
        "overflow", f"y[i] = -(x[i] - 2147483647 - 1); {HERE}", type="i32"
    ),
    "a large float": Defect("conversion", f"y[i] = f32(u32(x[i] * 1e9)); {HERE}", type="f32"),
    "a float below zero": Defect("conversion", f"y[i] = f32(u32(x[i] - 1.0)); {HERE}", type="f32"),
    "a long shift": Defect("shift", f"y[i] = 1u << x[i]; {HERE}"),
    "division of integers": Defect("division", f"y[i] = 64u / x[i]; {HERE}"),
    "remainder of i32": Defect("division", f"y[i] = 64 % x[i]; {HERE}", type="i32"),
    "division of floats": Defect("division", f"y[i] = 1.0 / x[i]; {HERE}", type="f32"),
    "a root": Defect("nan", f"y[i] = sqrt(x[i] - 1.0); {HERE}", type="f32"),
    "a logarithm": Defect("nan", f"y[i] = log(x[i] - 0.5); {HERE}", type="f32"),
    "a direction of nothing": Defect(
        "nan", f"y[i] = normalize(vec2f(x[i], 0.0)).x; {HERE}", type="f32"
    ),
}
