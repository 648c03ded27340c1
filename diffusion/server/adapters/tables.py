"""`AdapterTables`: what lies in the folders of adapters, and how it is looked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from diffusion.server.adapters.controls import ControlTable
from diffusion.server.adapters.embeddings import EmbeddingTable
from diffusion.server.adapters.loras import LoraTable
from diffusion.server.adapters.upscalers import UpscalerTable
from diffusion.server.adapters.vaes import VaeTable
from diffusion.server.engine.interface import Engine
from diffusion.server.engine.messages import RefreshAdapters

__all__ = ["AdapterTables"]


@dataclass(frozen=True)
class AdapterTables:
    """The adapters that requests may name."""

    loras: LoraTable
    embeddings: EmbeddingTable
    controls: ControlTable
    upscalers: UpscalerTable
    vaes: VaeTable

    async def refresh(self, engines: Sequence[Engine]) -> None:
        """Look for files again, here and in the workers."""
        await asyncio.gather(
            self.loras.refresh(),
            self.embeddings.refresh(),
            self.controls.refresh(),
            asyncio.to_thread(self.vaes.refresh),
        )
        for engine in engines:
            engine.send(RefreshAdapters())
