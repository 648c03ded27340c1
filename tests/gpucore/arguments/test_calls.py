"""How kernels may be called: by name, over a number of elements, with one number as a uniform."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpucore import ArgumentError, Buffer, Device, KernelCompileError, LimitError, f32
from gpucore.kernel import Kernel
from tests.gpucore.kernels import AFFINE

SIZES = {"count": 4, "factor": 2, "shift": 1}

GRID = """\
@group(0) @binding(0) var<storage, read_write> y: array<atomic<u32>, 6>;
@compute @workgroup_size(4, 2, 3)
fn main(@builtin(num_workgroups) n: vec3u, @builtin(global_invocation_id) id: vec3u) {
    atomicStore(&y[0], n.x);
    atomicStore(&y[1], n.y);
    atomicStore(&y[2], n.z);
    atomicMax(&y[3], id.x);
    atomicMax(&y[4], id.y);
    atomicMax(&y[5], id.z);
}
"""


@pytest.fixture
def affine(device: Device) -> Kernel:
    return device.compile_kernel(AFFINE)


@pytest.fixture
def x(device: Device) -> Buffer[f32]:
    return device.buffer_from_array(np.arange(4, dtype=np.float32))


def test_arguments_by_name(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    for order in range(3):
        y = device.buffer(f32, 4)
        given: list[Any] = [x, y, SIZES]
        named = dict(list(zip("xyp", given, strict=True))[order:][::-1])
        affine(*given[:order], **named, grid=1)
        assert y.read().tolist() == [1, 3, 5, 7]


def test_names_that_do_not_fit(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    y = device.buffer(f32, 4)
    with pytest.raises(ArgumentError, match="has no argument z; there are: x, y, p"):
        affine(x, y, z=SIZES, grid=1)
    with pytest.raises(ArgumentError, match="x must be given once, got both by place and by name"):
        affine(x, y, x=x, p=SIZES, grid=1)
    with pytest.raises(ArgumentError, match="'main': y is missing; give one argument for each"):
        affine(x, p=SIZES, grid=1)


@pytest.mark.parametrize(
    ("elements", "groups"),
    [
        ((9, 5, 4), (3, 3, 2)),
        ((8, 4, 3), (2, 2, 1)),
        ([1, 1, 1], (1, 1, 1)),
        ((np.int64(12), 2, 1), (3, 1, 1)),
    ],
)
def test_a_grid_of_elements(device: Device, elements: Any, groups: tuple[int, int, int]) -> None:
    y = device.buffer_from_array(np.zeros(6, np.uint32))
    device.compile_kernel(GRID)(y, elements=elements)
    assert y.read()[:3].tolist() == list(groups)
    assert (y.read()[3:] + 1 >= elements).all()


def test_elements_count_overrides_in_the_workgroup(device: Device, x: Buffer[f32]) -> None:
    source = "override WIDTH: u32 = 64;\n" + AFFINE.replace("size(64)", "size(WIDTH)")
    kernel = device.compile_kernel(source, constants={"WIDTH": 2})
    y = device.buffer(f32, 4)
    kernel(x, y, SIZES, elements=3)
    assert y.read().tolist() == [1, 3, 5, 7]
    assert kernel.workgroup_size == (2, 1, 1)
    y.write(np.zeros(4, np.float32))
    kernel(x, y, SIZES, elements=0)
    assert not y.read().any()


def test_elements_that_are_none(device: Device, affine: Kernel, x: Buffer[f32]) -> None:
    y = device.buffer(f32, 4)
    wrong: list[Any] = [1.5, "4", (), -1, (1, 1, 1, 1)]
    for elements in wrong:
        text = re.escape(f"elements must be 1 to 3 sizes >= 0, got {elements!r}")
        with pytest.raises(ArgumentError, match=text):
            affine(x, y, SIZES, elements=elements)
    with pytest.raises(ArgumentError, match=r"got grid 1 and elements 4; give one"):
        affine(x, y, SIZES, grid=1, elements=4)
    with pytest.raises(ArgumentError, match=r"@workgroup_size\(4, 2, 3\), got \(8, 8\)"):
        device.compile_kernel(GRID)(
            device.buffer_from_array(np.zeros(6, np.uint32)), elements=(8, 8)
        )
    most = device.limits["max_compute_workgroups_per_dimension"]
    with pytest.raises(
        LimitError, match=rf"grid \({most + 1}, 1, 1\) of .* elements has more than"
    ):
        affine(x, y, SIZES, elements=64 * most + 1)


def uniform_kernel(device: Device, declared: str, value: str) -> Kernel:
    return device.compile_kernel(
        f"""struct One {{ n: u32 }}
        struct Matrices {{ m: array<mat2x2f, 2> }}
        @group(0) @binding(0) var<storage, read_write> y: array<f32>;
        @group(0) @binding(1) var<uniform> u: {declared};
        @compute @workgroup_size(1) fn main() {{ y[0] = {value}; }}"""
    )


@pytest.mark.parametrize(
    ("declared", "value", "given", "expected"),
    [
        ("u32", "f32(u)", 5, 5),
        ("u32", "f32(u)", {"u": 5}, 5),
        ("u32", "f32(u)", np.uint32(5), 5),
        ("One", "f32(u.n)", 5, 5),
        ("One", "f32(u.n)", {"n": 5}, 5),
        ("f32", "u", 0.5, 0.5),
        ("vec3f", "u.z", [1, 2, 3], 3),
        ("mat2x3f", "u[1].x", np.arange(6).reshape(2, 3), 3),
        ("array<vec4f, 2>", "u[1].y", [[0] * 4, [1, 2, 3, 4]], 2),
    ],
)
def test_a_uniform_of_one_field_takes_its_value(
    device: Device, declared: str, value: str, given: Any, expected: float
) -> None:
    y = device.buffer(f32, 1)
    uniform_kernel(device, declared, value)(y, given, grid=1)
    assert y.read().tolist() == [expected]


@pytest.mark.parametrize(
    ("declared", "value"),
    [("mat2x2f", "u[1].x"), ("mat4x2f", "u[1].x"), ("Matrices", "u.m[1][1].x")],
)
def test_a_uniform_matrix_of_two_rows(device: Device, declared: str, value: str) -> None:
    """OpenGL reads it from wrong places: there it is refused."""
    y = device.buffer(f32, 1)
    if device.info.api == "gl":
        with pytest.raises(KernelCompileError, match=r"'u' is a uniform with a matrix of two rows"):
            uniform_kernel(device, declared, value)
        return
    columns = 4 if declared == "mat4x2f" else 2
    given = np.arange(2.0 * columns).reshape(columns, 2)
    if declared == "Matrices":
        given = np.stack([given - 9, given])
    uniform_kernel(device, declared, value)(y, {"m" if given.ndim == 3 else "u": given}, grid=1)
    assert y.read().tolist() == [2]


def test_structs_in_a_uniform_are_nested_mappings(device: Device) -> None:
    source = """struct Light { at: vec3f, power: f32 }
    struct Scene { sun: Light, lamps: array<Light, 2>, count: u32 }
    @group(0) @binding(0) var<storage, read_write> y: array<f32>;
    @group(0) @binding(1) var<uniform> scene: Scene;
    @compute @workgroup_size(1) fn main() {
        y[0] = scene.sun.at.y; y[1] = scene.lamps[1].power; y[2] = f32(scene.count);
    }"""
    kernel, y = device.compile_kernel(source), device.buffer(f32, 3)
    lamps = [{"at": (0, 0, 0), "power": 4}, {"at": (0, 0, 0), "power": 5}]
    kernel(y, {"sun": {"at": (1, 2, 3), "power": 0}, "lamps": lamps, "count": 6}, grid=1)
    assert y.read().tolist() == [2, 5, 6]
    with pytest.raises(ArgumentError, match=r"missing lamps\.1\.at"):
        kernel(
            y,
            {"sun": {"at": (1, 2, 3), "power": 0}, "lamps": [lamps[0], {"power": 1}], "count": 6},
            grid=1,
        )
    with pytest.raises(ArgumentError, match=r"got \{'sun\.at': Buffer.*where numbers belong"):
        kernel(y, {"sun": {"at": y, "power": 0}, "lamps": lamps, "count": 6}, grid=1)


@pytest.mark.parametrize(
    ("declared", "given", "told"),
    [
        ("u32", -1, "u of type u32 got -1, not a whole number from 0 to 4294967295"),
        ("i32", 2**31, "not a whole number from -2147483648 to 2147483647"),
        ("u32", 1.5, "got 1.5, not a whole number"),
        ("vec2f", [1, 1e39], "got 1e+39 in [1, 1e+39], not a number that f32 holds"),
        ("f32", None, "u of type f32 got None"),
    ],
)
def test_values_that_do_not_fit_are_told_in_our_words(
    device: Device, declared: str, given: Any, told: str
) -> None:
    value = {"vec2f": "u.x"}.get(declared, "f32(u)")
    with pytest.raises(ArgumentError, match=re.escape(told)) as caught:
        uniform_kernel(device, declared, value)(device.buffer(f32, 1), given, grid=1)
    assert "format" not in str(caught.value)
    assert "argument" not in str(caught.value).split("argument 'u'", 1)[1]


OVERRIDES = """
override n: u32 = 1; override i: i32 = 1; override x: f32 = 1; override b: bool = false;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = f32(n); y[1] = f32(i); y[2] = x; y[3] = f32(b); }
"""


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("n", value) for value in (1.5, 2.0, "2", -1, 2**32, True, None, np.float32(1), [1])),
        *(("i", value) for value in (2**31, -(2**31) - 1, 0.0, b"1", np.array([1, 2]))),
        *(("x", value) for value in ("0.5", float("nan"), float("inf"), 1e39, 10**400, False, 1j)),
        *(("b", value) for value in (1, 0, "True", 1.0, None)),
    ],
)
def test_constants_are_not_converted(name: str, wrong: Any) -> None:
    device = Device.null()
    with pytest.raises(ArgumentError, match=f"constant '{name}' must be .*, got ") as caught:
        device.compile_kernel(OVERRIDES, constants={name: wrong})
    assert repr(wrong) in str(caught.value)


def test_constants_of_all_kinds(device: Device) -> None:
    y = device.buffer(f32, 4)
    given: list[dict[str, Any]] = [
        {"n": np.uint8(7), "i": -3, "x": Fraction(1, 2), "b": True},
        {"n": 7, "i": np.int64(-3), "x": np.float16(0.5), "b": np.True_},
    ]
    for constants in given:
        device.compile_kernel(OVERRIDES, constants=constants)(y, grid=1)
        assert y.read().tolist() == [7, -3, 0.5, 1]


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [("float", "f32"), ("int", "i32"), ("float4", "vec4f"), ("uint8_t", "u8x4")],
)
def test_types_of_other_languages(foreign: str, ours: str) -> None:
    source = f"""@group(0) @binding(0) var<storage> x: array<{foreign}>;
        @compute @workgroup_size(1) fn main() {{ _ = x[0]; }}"""
    with pytest.raises(KernelCompileError, match=f"'{foreign}' is no type of WGSL: write .*{ours}"):
        Device.null().compile_kernel(source)


def test_a_reloading_kernel_is_called_by_name(
    device: Device, x: Buffer[f32], tmp_path: Path
) -> None:
    file = tmp_path / "affine.wgsl"
    file.write_text(AFFINE)
    kernel, y = device.compile_file(file, reload=True), device.buffer(f32, 4)
    kernel(x, y, p=SIZES, elements=4)
    file.write_text(AFFINE.replace("p: Sizes", "q: Sizes").replace("p.", "q."))
    kernel(x, y, q={**SIZES, "shift": 0}, elements=4)
    assert y.read().tolist() == [0, 2, 4, 6]
