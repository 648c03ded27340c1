"""`Bindings`: uniform buffers and bind groups that kernels use again and again."""

from __future__ import annotations

from typing import Any

from gpucore.backends import Backend, BindingSpec

__all__ = ["Bindings"]

_MAX_CACHED = 8192


class Bindings:
    """Caches of a device; the caller has the device's lock."""

    def __init__(self, engine: Backend) -> None:
        self._engine = engine
        self._constants: dict[bytes, Any] = {}
        self._groups: dict[tuple[Any, ...], Any] = {}

    def constant(self, data: bytes) -> Any:
        """Return the handle of an immutable uniform buffer with these bytes, made once."""
        handle = self._constants.get(data)
        if handle is None:
            if len(self._constants) >= _MAX_CACHED:
                self.clear()
            padded = data + bytes(-len(data) % 16)
            handle = self._engine.allocate(len(padded))
            self._engine.write(handle, memoryview(padded))
            self._constants[data] = handle
        return handle

    def group(self, specs: tuple[BindingSpec, ...], buffers: tuple[tuple[Any, int], ...]) -> Any:
        """Return the bind group of these buffers, made once."""
        key = (specs, buffers)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= _MAX_CACHED:
                self.clear_groups()
            group = self._groups[key] = self._engine.bind(specs, buffers)
        return group

    def clear(self) -> None:
        """Forget everything."""
        self._constants.clear()
        self._groups.clear()

    def clear_groups(self) -> None:
        """Forget the bind groups, which keep buffers."""
        self._groups.clear()
