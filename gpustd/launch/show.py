"""Show the WGSL that an operation launches: ``python -m gpustd.launch.show conv2d ...``.

    python -m gpustd.launch.show softmax 4x1024
    python -m gpustd.launch.show conv2d 1x64x64x320:f16 3x3x320x640:f16 padding=1 --device null
    python -m gpustd.launch.show nn.layer_norm 77x768:f16 weight=768:f32 bias=768:f32

An operation is a function of ``gpustd`` or of one of its packages. An operand is a shape, with a
dtype behind a colon (f32 without one); behind ``name=`` the dtype must be there. Every other
``name=value`` is a Python literal. The device decides which variant is taken: the best one here,
or the one that ``--device`` names; ``null`` computes nothing and has f16 and matrix units.
``--target cuda`` shows the CUDA C++ that the same kernels become, without the prelude; ``hip`` and
``hip-64`` show HIP, for subgroups of 32 and of 64 lanes.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import gpucore
from gpucore import Device, GpuError
from gpucore.wgsl import parse, reflect
from gpucore.wgsl.c_family import KERNEL, TARGETS, Target
from gpucore.wgsl.c_family.module import print_kernel
from gpustd.launch.template import rendered_kernels

__all__ = ["as_c", "find_operation", "main", "parse_argument", "show_kernels"]

PACKAGES = ("arrays", "image", "linalg", "matmul", "nn", "random", "signal")
_OPERAND = re.compile(r"(\d+(?:x\d+)*)(?::(\w+))?")


def find_operation(name: str) -> Callable[..., Any]:
    """Return the function that ``name``, such as ``conv2d`` or ``nn.softmax``, stands for.

    Raises `ValueError` for an unknown name, with the nearest ones.
    """
    function = name.rpartition(".")[2]
    known = _operations()
    if name in known:
        found: Callable[..., Any] = getattr(importlib.import_module(known[name]), function)
        return found
    near = difflib.get_close_matches(name, known, 4) or sorted(known)[:4]
    raise ValueError(f"operation must be one of gpustd's, got {name}: try {', '.join(near)}")


def _operations() -> dict[str, str]:
    """Return the module of every operation, by its name with and without the package.

    A name that stands at the top of gpustd means that function.
    """
    modules = {f"{each}.": f"gpustd.{each}" for each in PACKAGES}
    offered = {
        (prefix, name): module
        for prefix, module in {"": "gpustd", **modules}.items()
        for name in importlib.import_module(module).__all__
    }
    full = {f"{prefix}{name}": module for (prefix, name), module in offered.items()}
    return {name: module for (_, name), module in reversed(offered.items())} | full


def parse_argument(text: str, device: Device) -> tuple[str | None, Any]:
    """Return the name (None for a positional one) and value of one argument.

    Raises `ValueError` for a dtype that there is not.
    """
    name, equals, value = text.rpartition("=")
    match = _OPERAND.fullmatch(value)
    if match and (match[2] or not equals):
        dtype = getattr(gpucore, match[2] or "f32", None)
        if not (isinstance(dtype, type) and issubclass(dtype, gpucore.DType)):
            raise ValueError(f"dtype must be one of gpucore's, such as f16, got {match[2]}")
        return name or None, device.buffer(dtype, tuple(map(int, match[1].split("x"))))
    try:
        literal = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        literal = value
    return name or None, literal


def show_kernels(operation: str, arguments: Sequence[str], device: Device) -> list[str]:
    """Return the text of each kernel that a call launches, a comment with its label first.

    Only kernels that this process did not launch before are shown.
    """
    function = find_operation(operation)
    parsed = [parse_argument(each, device) for each in arguments]
    before = set(rendered_kernels())
    function(
        *(value for name, value in parsed if name is None),
        **{name: value for name, value in parsed if name is not None},
    )
    return [
        f"// {label}\n{text}" for label, text in rendered_kernels() if (label, text) not in before
    ]


def as_c(kernel: str, target: Target) -> str:
    """Return a kernel of `show_kernels` in a language of the C family, each entry point by itself.

    Native code stays as it is.
    """
    if f"{KERNEL}(" in kernel:
        return kernel
    points = reflect(parse(kernel)).entry_points
    label = kernel.partition("\n")[0]
    printed = [print_kernel(kernel, entry, {}, checks=False, target=target) for entry in points]
    return "\n".join([label, *(each.body for each in printed)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the kernels that the command line asks for; return 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m gpustd.launch.show",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("operation", help="such as conv2d, nn.softmax, linalg.cholesky")
    parser.add_argument("arguments", nargs="*", help="operands as shapes, or name=value")
    parser.add_argument("--device", default="", help="such as dawn, wgpu-vulkan, cpu, null")
    parser.add_argument("--target", choices=("wgsl", *TARGETS), default="wgsl", help="language")
    chosen = parser.parse_intermixed_args(arguments)
    try:
        device = Device.by_name(chosen.device) if chosen.device else Device.auto()
        texts = show_kernels(chosen.operation, chosen.arguments, device)
        if chosen.target != "wgsl":
            texts = [as_c(text, TARGETS[chosen.target]) for text in texts]
    except (GpuError, TypeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print("\n\n".join(texts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
