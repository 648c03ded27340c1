"""Barriers in non-uniform control flow: our front end and Dawn agree, and each is told in words."""

from __future__ import annotations

from typing import Any

import pytest

from gpucore import Device, GpuError, KernelCompileError
from gpucore.arguments import validation
from gpucore.wgsl import WgslSyntaxError, parse
from gpucore.wgsl.uniformity import require_uniformity
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

    monkeypatch.setattr(validation, "require_uniformity", accept)
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
