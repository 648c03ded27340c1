"""What WGSL does not promise is refused on every engine, at once and in our words."""

from __future__ import annotations

import re

import pytest

from gpucore import Device, KernelCompileError

Y = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n"


def main(body: str, head: str = "") -> str:
    entry = "@compute @workgroup_size(64)\nfn main(@builtin(local_invocation_index) i: u32)"
    return f"{head}{Y}{entry} {{ {body} }}"


def switch(count: int) -> str:
    cases = "".join(f"case {k}u: {{ y[{k}] = 1.0; }}" for k in range(count - 1))
    return main(f"switch i {{ {cases} default: {{ }} }}")


def call(count: int) -> str:
    parameters = ", ".join(f"a{k}: f32" for k in range(count))
    values = ", ".join(["1.0"] * count)
    return main(f"y[0] = f({values});", f"fn f({parameters}) -> f32 {{ return a0; }}\n")


def struct(count: int) -> str:
    members = ", ".join(f"a{k}: f32" for k in range(count))
    return main("y[0] = s.a0;", f"struct S {{ {members} }}\nvar<private> s: S;\n")


def array(count: int) -> str:
    return main(
        "y[0] = f32(c[i]);", f"const c = array<i32, {count}>({', '.join(['1'] * count)});\n"
    )


def private(count: int) -> str:
    return main("a[i] = 1.0; y[i] = a[1];", f"var<private> a: array<f32, {count}>;\n")


def function(count: int) -> str:
    return main(
        f"var a: array<f32, {count - 100}>; {{ var b = array<f32, 100>(); b[i] = 1.0; "
        "a[i] = b[1]; }} y[i] = a[1];".replace("}}", "}")
    )


LIMITS = {
    "switch": (switch, 1023, "a switch has at most 1023 case selectors"),
    "parameters": (call, 255, "a function has at most 255 parameters"),
    "members": (struct, 1023, "a struct has at most 1023 members"),
    "elements": (array, 2047, "takes at most 2047 arguments"),
    "private": (
        private,
        2048,
        "var<private> of 'main' have 8196 bytes up to 'a', over WGSL's limit",
    ),
    "function": (function, 2048, "the variables of function 'main' have 8196 bytes up to 'b'"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_one_more_than_the_limit(name: str) -> None:
    make, most, message = LIMITS[name]
    device = Device.null()
    device.compile_kernel(make(most))
    with pytest.raises(KernelCompileError, match=re.escape(message)):
        device.compile_kernel(make(most + 1))


@pytest.mark.parametrize("count", [100_000, 16_000_000])
def test_large_memory_is_refused_on_every_engine(device: Device, count: int) -> None:
    """Engines took minutes for private arrays of this size."""
    workgroup = main("a[i] = 1.0; y[i] = a[1];", f"var<workgroup> a: array<f32, {count}>;\n")
    for source in (private(count), function(count), workgroup):
        with pytest.raises(KernelCompileError, match="limit of"):
            device.compile_kernel(source)


def test_bools_count_one_byte_and_unused_memory_nothing() -> None:
    device = Device.null()
    device.compile_kernel(main("var a: array<bool, 8192>; a[i] = true;"))
    device.compile_kernel(main("y[i] = 1.0;", "var<private> a: array<f32, 9999>;\n"))
    with pytest.raises(KernelCompileError, match="8193 bytes up to 'a'"):
        device.compile_kernel(main("var a: array<bool, 8193>; a[i] = true;"))


@pytest.mark.parametrize(
    "body",
    ["var x: f64 = 1.0; y[i] = f32(x);", "let x = 1.0lf;", "let x = 1lu;", "var x: vec2<i64>;"],
)
def test_numbers_of_64_bits(device: Device, body: str) -> None:
    with pytest.raises(KernelCompileError, match="WGSL has no numbers of 64 bits, got") as caught:
        device.compile_kernel(main(body))
    assert caught.value.line == 3


def test_names_that_look_like_numbers_of_64_bits(device: Device) -> None:
    """A member, a variable and a comment may be called so."""
    body = "var s: S; s.f64 = 1.0; let u64 = s.f64; y[i] = u64; // f64"
    device.compile_kernel(main(body + "\n", "struct S { f64: f32 }\n"))
