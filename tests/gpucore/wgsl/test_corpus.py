"""The front end over every shader of the repository, as its operations render them."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gpustd
from gpucore import Buffer, Device, DType, f16, f32, i32, u32
from gpucore.backends.null import NullBackend, adapters
from gpucore.wgsl import parse, print_module, reflect, reflect_outline
from gpucore.wgsl.memory_limits import require_invocation_memory
from gpucore.wgsl.uniformity import require_uniformity
from gpucore.wgsl.zeroing import zero_workgroup_memory
from gpustd import nn
from gpustd.launch import template
from gpustd.launch.plain_kernels import KNOWN
from gpustd.launch.template import SHADERS, rendered_kernels
from gpustd.launch.variants import force_variant
from gpustd.matmul.tiles import MATRIX_TILES
from tests.laws.sources import LIBRARY

TEMPLATE_MARKS = ("{{", "{%", "//%")
Make = Callable[..., Buffer[DType]]


def devices() -> list[Device]:
    """Return null devices: a bare card, one with all features, a software renderer.

    They trust the shaders, which is several times quicker.
    """
    (info, *_) = adapters()
    everything = frozenset({"f16", "subgroups", "subgroup-size-control", "matrix-units"})
    kinds = (
        dataclasses.replace(info, kind="discrete", features=frozenset()),
        dataclasses.replace(info, kind="discrete", features=everything, subgroup_size=(32, 32)),
        # By its name, software Vulkan tells how many lanes move together.
        dataclasses.replace(
            info, kind="cpu", features=everything, name="llvmpipe (null, 256 bits)"
        ),
    )
    return [Device(NullBackend(kind), checks=False) for kind in kinds]


def call_products(make: Make, floats: Make) -> None:
    """Call matrix products and convolutions with every part of the epilogue."""
    a, w = make(2, 64, 64), make(64, 64)
    bias, residual = floats(64), make(2, 64, 64)
    for name in ("silu", "gelu", "gelu_tanh", "quick_gelu"):
        gpustd.gemm(a, w, bias=bias, activation=name, residual=residual)
    gpustd.gemm(a, w)
    gpustd.gemm(a, make(64, 128), bias=floats(128), activation="geglu")
    x, filters = make(1, 8, 8, 16), make(3, 3, 16, 32)
    gpustd.fused_conv2d(x, filters, bias=floats(32), padding=1, activation="silu")
    gpustd.fused_conv2d(x, filters, stride=2, padding=(0, 1, 0, 1))
    gpustd.winograd_conv2d(x, gpustd.winograd_weights(filters), second=None, residual=None)
    gpustd.winograd_conv2d(x, gpustd.winograd_weights(filters, 4))
    gpustd.upsampling_conv2d(x, gpustd.upsampling_weights(filters))
    gpustd.gemm(make(2, 64), make(64, 64), few_rows=True)
    gpustd.fused_conv2d(
        *(x, make(3, 3, 32, 32)), second=x, padding=1, per_image=make(1, 32), upsample=(16, 16)
    )


def call_attention(make: Make, floats: Make) -> None:
    for heads in (1, 2):
        q, k = make(1, 64, 64 * heads), make(1, 64, 64 * heads)
        gpustd.attention(q, k, k, heads=heads)
        gpustd.attention(q, k, k, heads=heads, causal=True)
    x = make(1, 160, 2, 64)
    nn.scaled_dot_product_attention(x, x, x, x.device.buffer(i32, (160, 160)))


def call_norms(make: Make, floats: Make) -> None:
    x, gamma = make(1, 8, 8, 32), floats(32)
    gpustd.group_norm(x, 8, gamma, gamma, silu=True)
    gpustd.group_norm(x, 8, floats(64), floats(64), second=x)
    gpustd.layer_norm(make(2, 8, 32), gamma, gamma, eps=1e-5)


def call_softmax(make: Make, floats: Make) -> None:
    gpustd.softmax(make(2, 3, 33))


def call_others(make: Make, floats: Make) -> None:
    x = make(2, 4, 4, 3)
    for activation in (nn.silu, nn.gelu, nn.quick_gelu):
        activation(x)
    nn.gelu(x, "tanh")
    gpustd.add(x, x)
    gpustd.multiply(x, x)
    gpustd.guidance(x, 7.5)
    for terms in range(1, 9):
        gpustd.linear_combination([(0.5, x)] * terms)
    gpustd.concat([x, x], 1)
    gpustd.slice_axis(x, 2, 1, 3)
    gpustd.repeat_batch(x, 2)
    gpustd.transpose(x, (0, 3, 1, 2))
    gpustd.upsample_nearest(x)
    gpustd.to_image(x)
    gpustd.embedding(x.device.buffer(i32, (2, 7)), make(10, 16))
    gpustd.count_nonfinite(x, x.device.buffer(u32, 1))
    for dtype in (f16, f32, i32):
        gpustd.cast(x, dtype)


CALLS = (call_products, call_attention, call_norms, call_softmax, call_others)
# Variants to force, and whether they need matrix units (which take f16 only).
PRODUCT_VARIANTS = (
    ("naive", False),
    ("cpu", False),
    ("tiled", False),
    ("matrix", True),
)
OTHER_VARIANTS = (
    ("attention", "naive", False),
    ("attention", "cpu", False),
    ("attention", "rows", False),
    ("attention", "flash", False),
    ("attention", "matrix", True),
    ("layer_norm", "naive", False),
    ("group_norm", "naive", False),
    ("group_norm", "runs", False),
    ("softmax", "naive", False),
)


def corpus() -> Iterator[tuple[str, str]]:
    """Yield label and source of every shader, rendered by every operation on every device.

    What other tests of the process have rendered, such as odd numbers, is left out.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(template, "_rendered", {})
        for device in devices():
            for dtype in (f32, f16):
                if dtype is f32 or device.has_f16:
                    render(device, dtype)
        found = list(rendered_kernels())
    yield from found
    for path in sorted(SHADERS.rglob("*.wgsl")):
        source = path.read_text(encoding="utf-8")
        if "@compute" in source and not any(mark in source for mark in TEMPLATE_MARKS):
            yield short_name(path), source
    for package in LIBRARY:  # whose modules have kernels in Python
        importlib.import_module(f"gpustd.{package}")
    for kernel in KNOWN:
        if not kernel.__wrapped__.__module__.startswith("tests."):
            yield f"plain/{kernel.__name__}", kernel.source()


def render(device: Device, dtype: type[DType]) -> None:
    """Call every operation with every variant, so that the templates are rendered and compiled."""

    def make(*shape: int) -> Buffer[DType]:
        return device.buffer(dtype, shape)

    def floats(*shape: int) -> Buffer[DType]:
        return device.buffer(f32, shape)

    for call in CALLS:
        call(make, floats)
    gpustd.gemm(make(2, 64, 64), make(64, 12))
    gpustd.gemm(make(64, 3840), make(3840, 64))
    matrix = device.has_matrix_units and dtype is f16
    for variant, needs_matrix in PRODUCT_VARIANTS:
        with force_variant("matmul", variant):
            if matrix or not needs_matrix:
                call_products(make, floats)
    if matrix:
        for tile in MATRIX_TILES:
            if tile.loaders:
                with force_variant("matmul", "matrix", tile):
                    gpustd.gemm(make(256, 192), make(192, 320))
    for op, variant, needs_matrix in OTHER_VARIANTS:
        with force_variant(op, variant):
            if matrix or not needs_matrix:
                call_attention(make, floats)
                call_norms(make, floats)
                call_softmax(make, floats)


def short_name(path: Path) -> str:
    """Return the name of a shader's file in labels: the last folder and the stem."""
    return f"{path.parent.name}/{path.stem}"


def included(name: str) -> set[str]:
    """Return the file and all files that its template includes."""
    text = (SHADERS / name).read_text(encoding="utf-8")
    names = re.findall(r"^\s*//%-?\s*(?:include|import|from)\s+\"([^\"]+)\"", text, re.MULTILINE)
    return {name}.union(*(included(n) for n in names))


@pytest.mark.slow
def test_every_shader_parses_prints_and_reflects() -> None:
    shaders = {short_name(p): p.relative_to(SHADERS).as_posix() for p in SHADERS.rglob("*.wgsl")}
    seen: set[str] = set()
    for name, source in corpus():
        module = parse(source)
        require_invocation_memory(module)
        require_uniformity(module)
        printed = print_module(module)
        again = parse(printed)
        assert again == module, name
        assert print_module(again) == printed, name
        reflection, reprinted = reflect(module), reflect(again)
        assert reflect_outline(source) == reflection, name
        assert reprinted.entry_points == reflection.entry_points, name
        assert [b.fields for b in reprinted.bindings] == [b.fields for b in reflection.bindings]
        for point in reflection.entry_points.values():
            x, y, z = point.workgroup_size()
            assert 1 <= x * y * z <= 1024, name
            assert point.workgroup_bytes() <= 49152, name
            zeroing = zero_workgroup_memory(source, point.name)
            assert (zeroing == source) == (point.workgroup_bytes() == 0), name
            assert len(parse(zeroing).declarations) == len(module.declarations) + (
                zeroing != source
            ), name
        # A label names the shader, and for products the source file that it includes.
        for word in name.split():
            if word in shaders:
                seen |= included(shaders[word])
    # The library's packages render theirs in tests of their own, where each is compiled.
    files = {path.relative_to(SHADERS) for path in SHADERS.rglob("*.wgsl")}
    assert {f.as_posix() for f in files if f.parts[0] not in LIBRARY} - seen == set()
