"""Rendering and compiling the shaders: Jinja2 with line statements, cached by spec.

A line that starts with ``//%`` is a Jinja statement, ``{{ name }}`` an expression. An unknown name
is an error. Template variables hold choices that shape the code (dtype, tile, epilogue). Sizes go
in a uniform struct.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gpucore import ArgumentError, Device, Kernel, PerDevice
from gpucore.backends import NativeCode
from gpustd.launch.rendered import load_text, store_text, text_file

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = [
    "SHADERS",
    "Value",
    "constants",
    "kernel",
    "label_of",
    "native_code",
    "note_rendered",
    "render",
    "rendered_files",
    "rendered_kernels",
]

Value = str | int | float | bool | None

_NATIVE = ".cu"

_GPUSTD = Path(__file__).parents[1]
# In a wheel, and in a checkout.
SHADERS = next(p for p in (_GPUSTD / "shaders", _GPUSTD.parent / "shaders") if p.is_dir())

_kernels: PerDevice[dict[tuple[object, ...], Kernel]] = PerDevice(lambda device: {})
_rendered: dict[tuple[object, ...], str] = {}


@functools.cache
def _environment() -> Environment:
    import jinja2  # takes 20 ms to load, and is not needed where all texts are on disk

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(SHADERS),
        undefined=jinja2.StrictUndefined,
        line_statement_prefix="//%",
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        optimized=False,  # folding constants takes longer than they would when rendered
    )


def render(name: str, spec: dict[str, Value]) -> str:
    """Return the WGSL of ``shaders/<name>`` for a spec."""
    key = (name, *sorted(spec.items()))
    text = _rendered.get(key)
    if text is None:
        file = text_file(SHADERS, key)
        text = load_text(file) if file else None
        if text is None:
            text = _environment().get_template(name).render(spec)
            if file:
                store_text(file, text)
        _rendered[key] = text
    return text


def kernel(device: Device, name: str, **spec: Value) -> Kernel:
    """Return the kernel of ``shaders/<name>`` for a spec, compiled in the background.

    The name of native code ends in ``.cu``, see `native_code`.
    Each device compiles it once. Raises `ArgumentError` for a value that a template cannot take,
    such as a list where a function expects a bool.
    """
    cache = _kernels.of(device)
    key = (name, *sorted(spec.items()))
    try:
        found = cache.get(key)
    except TypeError:  # lists and arrays, which have no hash
        values: dict[str, Any] = spec
        wrong = {k: v for k, v in values.items() if not isinstance(v, Value)}
        raise ArgumentError(f"{name}: options must be bool, str or numbers, got {wrong}") from None
    if found is not None:
        return found
    with device.lock:
        if key not in cache:
            native = native_code(name, spec) if name.endswith(_NATIVE) else None
            cache[key] = device.compile_kernel(
                render(name.replace(_NATIVE, ".wgsl"), spec),
                wait=False,
                label=label_of(name, spec),
                native=native,
            )
        return cache[key]


def native_code(name: str, spec: dict[str, Value]) -> NativeCode:
    """Return the CUDA C++ of ``shaders/<name>`` for a spec with ``threads``, ``memory``, ``parts``.

    A ``.wgsl`` file beside it declares its bindings. What waits for the launch ahead (sm_90) may
    start before its end.
    """
    threads, memory, parts = (int(spec[key] or 0) for key in ("threads", "memory", "parts"))
    text = render(name, spec)
    return NativeCode(text, threads, memory, parts, follows="griddepcontrol.wait" in text)


def constants(sizes: Mapping[str, int]) -> str:
    """Return the arguments of ``Params(...)``, for shaders whose sizes are constants.

    They save divisions at run time. ``sizes`` has the fields of Params in their order.
    """
    return ", ".join(str(value) for value in sizes.values())


def label_of(name: str, spec: Mapping[str, Value]) -> str:
    """Return a kernel's name in profiles, such as ``gemm/tiled f16 bias bm64``.

    A file is named with its last folder alone. Variables that are off are left out. The variable
    ``label`` is the whole name.
    """
    if "label" in spec:
        return str(spec["label"])
    words = [_short_name(name)]
    for key, value in spec.items():
        if key == "sizes":
            continue
        if value is True:
            words.append(key)
        elif isinstance(value, str) and value != "none":
            words.append(_short_name(value))
        elif value and not isinstance(value, (bool, str)):
            words.append(f"{key}{value}")
    return " ".join(words)


def _short_name(file: str) -> str:
    """Return ``gemm/tiled`` for ``matmul/gemm/tiled.wgsl``."""
    return "/".join(file.removesuffix(".wgsl").removesuffix(_NATIVE).split("/")[-2:])


def note_rendered(label: str, text: str) -> None:
    """Count a text that is no template's, such as that of a kernel in Python, as rendered."""
    _rendered[label, ("label", label)] = text


def rendered_kernels() -> Iterator[tuple[str, str]]:
    """Yield label and WGSL of every kernel that this process has rendered so far."""
    for name, spec, text in _all_rendered():
        yield label_of(name, spec), text


def rendered_files() -> Iterator[tuple[str, str]]:
    """Yield file, below ``shaders``, and WGSL of every kernel that was rendered so far."""
    for name, _, text in _all_rendered():
        yield name, text


def _all_rendered() -> Iterator[tuple[str, dict[str, Value], str]]:
    for (name, *spec), text in _rendered.items():
        if not str(name).endswith(_NATIVE):
            yield str(name), dict(cast("list[tuple[str, Value]]", spec)), text
