"""The device of the GPU that Ray gave to this process."""

from __future__ import annotations

import ray

from diffusion.server.errors import ConfigurationError
from diffusion.server.worker.device_names import find_device_names

__all__ = ["own_device"]


def own_device(device: str | None) -> str | None:
    """Return the name of the card that is this process's own, for a worker of it.

    ``device``: as in ``--device``; it then names the engine. Ray numbers cards and hides others
    from CUDA alone, whereas Vulkan shows all. So the card is taken by its number. Without a GPU of
    Ray's it is ``device``. Raises `ConfigurationError`.
    """
    given = [int(each) for each in ray.get_gpu_ids()]
    if not given:
        return device
    cards = find_device_names([f"{device}:all" if device else "all"])
    number = 0 if cards[0].startswith("cuda") else given[0]
    if number >= len(cards):
        raise ConfigurationError(
            f"Ray gave GPU {number} to this replica, and the engine sees {len(cards)}: "
            f"{', '.join(cards)}; name an engine that sees all"
        )
    return cards[number]
