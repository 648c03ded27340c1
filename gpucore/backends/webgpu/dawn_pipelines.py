"""Dawn's pipelines, made in threads of our own, since Dawn's own thread pool is small.

Error scopes belong to a thread, so that an error of another thread is not mistaken for one of this
pipeline. The device has the feature "implicit-device-synchronization", or only one thread uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

__all__ = ["DawnPipeline"]

# Kinds of errors that a step may end with. Each call to Dawn waits for Python's lock: look for few.
_MODULE_ERRORS = ("Validation",)
_PIPELINE_ERRORS = ("Internal", "OutOfMemory", "Validation")


class DawnPipeline:
    """A compute pipeline, compiled when it is made. Raises `wgpudawn.GPUError`."""

    def __init__(
        self, device: Any, source: str, entry: str, constants: Mapping[str, float], layout: Any
    ) -> None:
        from wgpudawn.backends.dawn import lib

        native, keep_alive = device._internal, list[Any]()
        described = _module_descriptor(source, keep_alive)
        make_module = partial(lib.wgpuDeviceCreateShaderModule, native, described)
        module = _make_in_scopes(native, _MODULE_ERRORS, make_module, lib.wgpuShaderModuleRelease)
        described = _pipeline_descriptor(module, entry, constants, layout._internal, keep_alive)
        make_pipeline = partial(lib.wgpuDeviceCreateComputePipeline, native, described)
        self._internal = _make_in_scopes(
            native, _PIPELINE_ERRORS, make_pipeline, lib.wgpuComputePipelineRelease
        )


def _module_descriptor(source: str, keep_alive: list[Any]) -> Any:
    """Return a shader module's descriptor; it points at the objects in ``keep_alive``."""
    from wgpudawn.backends.dawn import ffi, lib

    wgsl = ffi.new("WGPUShaderSourceWGSL *")
    wgsl.chain.sType = lib.WGPUSType_ShaderSourceWGSL
    _set_text(wgsl.code, source, keep_alive)
    descriptor = ffi.new("WGPUShaderModuleDescriptor *")
    descriptor.nextInChain = ffi.cast("WGPUChainedStruct *", wgsl)
    keep_alive.append(wgsl)
    return descriptor


def _pipeline_descriptor(
    module: Any, entry: str, constants: Mapping[str, float], layout: Any, keep_alive: list[Any]
) -> Any:
    """Return a pipeline's descriptor; it points at the objects in ``keep_alive``."""
    from wgpudawn.backends.dawn import ffi

    values = ffi.new("WGPUConstantEntry[]", len(constants))
    keep_alive.append(values)
    for each, (name, value) in zip(values, constants.items(), strict=True):
        _set_text(each.key, name, keep_alive)
        each.value = value
    descriptor = ffi.new("WGPUComputePipelineDescriptor *")
    descriptor.layout, descriptor.compute.module = layout, module
    _set_text(descriptor.compute.entryPoint, entry, keep_alive)
    descriptor.compute.constantCount, descriptor.compute.constants = len(constants), values
    return descriptor


def _set_text(view: Any, text: str, keep_alive: list[Any]) -> None:
    """Make a ``WGPUStringView`` point at ``text``."""
    from wgpudawn.backends.dawn import ffi

    encoded = text.encode()
    keep_alive.append(ffi.new("char[]", encoded))
    view.data, view.length = keep_alive[-1], len(encoded)


def _make_in_scopes(
    native: Any, filters: Sequence[str], make: Callable[[], Any], release: Any
) -> Any:
    """Call ``make`` in an error scope for each kind of error in ``filters``; return its result.

    ``release`` takes the result, also where Dawn made an invalid one. Raises `wgpudawn.GPUError`
    where Dawn reports an error.
    """
    from wgpudawn import GPUError
    from wgpudawn.backends.dawn import ffi, lib

    for name in filters:
        lib.wgpuDevicePushErrorScope(native, getattr(lib, f"WGPUErrorFilter_{name}"))
    result = ffi.gc(make(), release)
    message = "".join([_pop_error_scope(native) for _ in filters])
    if message or result == ffi.NULL:
        raise GPUError(message or "nothing was made")
    return result


def _pop_error_scope(native: Any) -> str:
    """Return the message that this thread's innermost error scope caught; "" for none."""
    from wgpudawn.backends.dawn import ffi, lib
    from wgpudawn.backends.dawn._ffi import c_callback, callbacks

    messages: list[str] = []

    def collect(status: int, kind: int, message: Any, *unused: Any) -> None:
        if message.data != ffi.NULL and kind != lib.WGPUErrorType_NoError:
            messages.append(ffi.string(message.data, message.length).decode(errors="replace"))

    info = ffi.new("WGPUPopErrorScopeCallbackInfo *")
    info.mode = lib.WGPUCallbackMode_AllowSpontaneous
    info.callback = c_callback("WGPUPopErrorScopeCallback")
    info.userdata1 = callbacks.register(collect)
    lib.wgpuDevicePopErrorScope(native, info[0])
    return "".join(messages)
