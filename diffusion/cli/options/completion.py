"""What the Tab key offers for a value: names of samplers, models, devices and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from diffusion.errors import DiffusionError

__all__ = ["complete_devices", "complete_from", "complete_models"]

DEVICES = ("dawn", "wgpu", "vulkan", "metal", "dx12", "gl", "cpu")


def complete_from(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return the function that offers those of ``names`` that begin as the typed text does."""
    every = tuple(names)

    def offer(incomplete: str) -> list[str]:
        return [name for name in every if name.startswith(incomplete)]

    return offer


def complete_models(incomplete: str) -> list[str]:
    """Return the names of the bundled model and of those in the cache, which begin so."""
    from diffusion.checkpoints import hub
    from diffusion.checkpoints.bundled import BUNDLED

    try:
        names = [model.name for model in hub.cached_models()]
    except (DiffusionError, OSError):
        names = []
    return complete_from([BUNDLED, *names])(incomplete)


def complete_devices(incomplete: str) -> list[str]:
    """Return the names of engines and interfaces that begin so, without looking at the GPUs."""
    return complete_from(DEVICES)(incomplete)
