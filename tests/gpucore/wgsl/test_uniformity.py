"""Barriers in non-uniform control flow: our front end and Dawn agree, and each is told in words."""

from __future__ import annotations

from typing import Any

import pytest

from gpucore import Device, GpuError, KernelCompileError
from gpucore.wgsl import WgslSyntaxError, parse, uniformity
from gpucore.wgsl.uniformity import keeps_subgroups_whole, require_uniformity
from tests.gpucore.wgsl.uniformity_cases import CASES, kernel


def source_of(name: str) -> str:
    body = CASES[name]
    return kernel(body, subgroups="ubgroup" in body or "quad" in body)


def is_accepted(source: str) -> bool:
    try:
        require_uniformity(parse(source))
    except WgslSyntaxError:
        return False
    return True


def test_dawn_agrees(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all cases, Dawn refuses exactly those that we refuse, and for this reason."""
    if not device.backend.startswith("dawn"):
        pytest.skip("only Dawn has an analysis of uniformity")

    def accept(module: Any) -> None:
        """Leave it to Dawn."""

    monkeypatch.setattr(uniformity, "require_uniformity", accept)
    ours, theirs = {}, {}
    for name in CASES:
        source = source_of(name)
        if "enable subgroups" in source and "subgroups" not in device.features:
            continue
        ours[name] = is_accepted(source)
        try:
            device.compile_kernel(source)
            theirs[name] = True
        except GpuError as error:
            theirs[name] = "uniform" not in str(error)
    assert ours == theirs
    assert 40 < sum(theirs.values()) < len(theirs) - 40


def test_every_engine_refuses_it(device: Device) -> None:
    body = "\n    if (lane > 3u) {\n        workgroupBarrier();\n    }"
    with pytest.raises(
        KernelCompileError, match="'workgroupBarrier' must be reached by all"
    ) as caught:
        device.compile_kernel(kernel(body))
    lines = kernel(body).split("\n")
    assert "workgroupBarrier();" in lines[caught.value.line - 1]
    assert caught.value.line == next(
        i for i, line in enumerate(lines, 1) if line == "        workgroupBarrier();"
    )
    with pytest.raises(KernelCompileError, match="the same in all invocations"):
        device.compile_kernel(kernel(CASES["uniform load at lane"]))


def test_inputs_in_a_struct() -> None:
    source = """struct In {{ @builtin(workgroup_id) group: vec3u, @builtin({other}) other: vec3u }}
    @compute @workgroup_size(8) fn main(in: In) {{
        if (in.group.x > 1u) {{ workgroupBarrier(); }}
    }}"""
    assert is_accepted(source.format(other="num_workgroups"))
    assert not is_accepted(source.format(other="local_invocation_id"))


def test_the_size_of_subgroups_is_the_same_for_all() -> None:
    source = """@compute @workgroup_size(8) fn main(@builtin({name}) number: u32) {{
        if (number > 8u) {{ workgroupBarrier(); }}
    }}"""
    assert is_accepted(source.format(name="subgroup_size"))
    assert not is_accepted(source.format(name="subgroup_invocation_id"))


def test_a_module_may_turn_rules_off() -> None:
    source = source_of("subgroup in if")
    assert not is_accepted(source)
    assert is_accepted("diagnostic(off, subgroup_uniformity);\n" + source)
    assert not is_accepted("diagnostic(error, subgroup_uniformity);\n" + source)
    assert not is_accepted("diagnostic(off, derivative_uniformity);\n" + source)
    barrier = source_of("in if of lane")
    assert not is_accepted("diagnostic(off, subgroup_uniformity);\n" + barrier)
    assert is_accepted("enable chromium_disable_uniformity_analysis;\n" + barrier)


def test_functions_that_call_themselves_are_left_to_the_engine() -> None:
    source = """fn f(x: u32) { workgroupBarrier(); f(x); }
    @compute @workgroup_size(1) fn main() { f(1u); }"""
    assert is_accepted(source)


def test_long_functions_end() -> None:
    """Loops in loops are walked once: 40 of them, and 3000 statements."""
    deep = "for (var i = 0u; i < u.x; i++) { " * 40 + "workgroupBarrier();" + "}" * 40
    assert is_accepted(kernel(deep))
    assert is_accepted(kernel("var x = 1u;" + "x += u.x; workgroupBarrier();" * 3000))


WHOLE = """enable subgroups;
diagnostic(off, subgroup_uniformity);
const LANES = 32u;
override lanes = 32u;
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<uniform> count: u32;
@compute @workgroup_size(128) fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_index) t: u32,
    @builtin(local_invocation_id) id: vec3u,
) {
    let i = group.x * 4u + BY;
    if (i >= count) { return; }
    if (t == 3u) { y[9] = 1u; }
    y[t] = subgroupAdd(t);
}
"""


@pytest.mark.parametrize(
    ("by", "lanes", "whole"),
    [
        ("t / 32u", 32, True),
        ("t / LANES % 2u", 32, True),
        ("t / 64u", 32, True),
        ("count", 32, True),
        ("t / 32u", 64, False),
        ("t / 16u", 32, False),
        ("t / 48u", 32, False),
        ("t / lanes", 32, False),
        ("t % 32u", 32, False),
        ("id.x / 32u", 32, False),
        ("y[0]", 32, False),
        ("u32(subgroupAny(y[t] > 3u))", 32, True),
        ("subgroupBallot(y[t] > 3u).x", 32, True),
        ("subgroupBroadcastFirst(y[t])", 32, True),
        ("subgroupBroadcast(y[t], 3u)", 32, True),
        ("subgroupShuffle(y[t], t / 32u)", 32, True),
        ("subgroupShuffle(y[t], t)", 32, False),
        ("subgroupShuffleXor(y[t], 1u)", 32, False),
        ("subgroupInclusiveAdd(y[t])", 32, False),
    ],
)
def test_subgroups_that_stay_whole(by: str, lanes: int, whole: bool) -> None:
    assert keeps_subgroups_whole(parse(WHOLE.replace("BY", by)), lanes) == whole


def test_a_name_that_hides_the_index_is_another() -> None:
    hidden = WHOLE.replace("let i", "{ let t = y[0]; if (t / 32u > 1u) { return; } } let i")
    assert not keeps_subgroups_whole(parse(hidden.replace("BY", "t / 32u")), 32)
    hidden = WHOLE.replace("let i", "let LANES = y[0]; let i")
    assert not keeps_subgroups_whole(parse(hidden.replace("BY", "t / LANES")), 32)


def test_a_call_that_some_lanes_miss() -> None:
    missed = WHOLE.replace("y[t] = sub", "if (t > 40u) { return; } y[t] = sub")
    assert not keeps_subgroups_whole(parse(missed.replace("BY", "t / 32u")), 32)
