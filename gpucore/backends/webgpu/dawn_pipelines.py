"""Pipelines of Dawn made in threads of our own, each with its error: Dawn's own pool is small.

Error scopes belong to a thread, so that what another one does wrong meanwhile is not mistaken for
an error of this pipeline. The device has the feature "implicit-device-synchronization", or one
thread alone uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

__all__ = ["DawnPipeline"]

# What reading a text and making a pipeline may end with; each call to Dawn waits for Python's lock.
_OF_TEXTS = ("Validation",)
_OF_PIPELINES = ("Internal", "OutOfMemory", "Validation")


class DawnPipeline:
    """A compute pipeline, compiled when it is made. Raises `wgpudawn.GPUError`."""

    def __init__(
        self, device: Any, source: str, entry: str, constants: Mapping[str, float], layout: Any
    ) -> None:
        from wgpudawn.backends.dawn import lib

        native, kept = device._internal, list[Any]()
        text = _module_text(source, kept)
        read = partial(lib.wgpuDeviceCreateShaderModule, native, text)
        module = _scoped(native, _OF_TEXTS, read, lib.wgpuShaderModuleRelease)
        wanted = _descriptor(module, entry, constants, layout._internal, kept)
        make = partial(lib.wgpuDeviceCreateComputePipeline, native, wanted)
        self._internal = _scoped(native, _OF_PIPELINES, make, lib.wgpuComputePipelineRelease)


def _module_text(source: str, kept: list[Any]) -> Any:
    """A shader module's descriptor; it points at what is ``kept``."""
    from wgpudawn.backends.dawn import ffi, lib

    wgsl = ffi.new("WGPUShaderSourceWGSL *")
    wgsl.chain.sType = lib.WGPUSType_ShaderSourceWGSL
    _set_text(wgsl.code, source, kept)
    descriptor = ffi.new("WGPUShaderModuleDescriptor *")
    descriptor.nextInChain = ffi.cast("WGPUChainedStruct *", wgsl)
    kept.append(wgsl)
    return descriptor


def _descriptor(
    module: Any, entry: str, constants: Mapping[str, float], layout: Any, kept: list[Any]
) -> Any:
    """A pipeline's descriptor; it points at what is ``kept``."""
    from wgpudawn.backends.dawn import ffi

    values = ffi.new("WGPUConstantEntry[]", len(constants))
    kept.append(values)
    for each, (name, value) in zip(values, constants.items(), strict=True):
        _set_text(each.key, name, kept)
        each.value = value
    descriptor = ffi.new("WGPUComputePipelineDescriptor *")
    descriptor.layout, descriptor.compute.module = layout, module
    _set_text(descriptor.compute.entryPoint, entry, kept)
    descriptor.compute.constantCount, descriptor.compute.constants = len(constants), values
    return descriptor


def _set_text(view: Any, text: str, kept: list[Any]) -> None:
    """Let a ``WGPUStringView`` show ``text``."""
    from wgpudawn.backends.dawn import ffi

    encoded = text.encode()
    kept.append(ffi.new("char[]", encoded))
    view.data, view.length = kept[-1], len(encoded)


def _scoped(native: Any, filters: Sequence[str], call: Callable[[], Any], release: Any) -> Any:
    """What ``call`` makes. Raises `wgpudawn.GPUError` where Dawn reports an error meanwhile.

    ``filters``: the kinds of error that are looked for. ``release`` takes what was made, also where
    it is an error's stand-in.
    """
    from wgpudawn import GPUError
    from wgpudawn.backends.dawn import ffi, lib

    for name in filters:
        lib.wgpuDevicePushErrorScope(native, getattr(lib, f"WGPUErrorFilter_{name}"))
    made = ffi.gc(call(), release)
    said = "".join([_popped(native) for _ in filters])
    if said or made == ffi.NULL:
        raise GPUError(said or "nothing was made")
    return made


def _popped(native: Any) -> str:
    """What the innermost error scope of this thread caught; empty where that is nothing."""
    from wgpudawn.backends.dawn import ffi, lib
    from wgpudawn.backends.dawn._ffi import c_callback, callbacks

    said: list[str] = []

    def tell(status: int, kind: int, message: Any, *unused: Any) -> None:
        if message.data != ffi.NULL and kind != lib.WGPUErrorType_NoError:
            said.append(ffi.string(message.data, message.length).decode(errors="replace"))

    info = ffi.new("WGPUPopErrorScopeCallbackInfo *")
    info.mode = lib.WGPUCallbackMode_AllowSpontaneous
    info.callback = c_callback("WGPUPopErrorScopeCallback")
    info.userdata1 = callbacks.register(tell)
    lib.wgpuDevicePopErrorScope(native, info[0])
    return "".join(said)
