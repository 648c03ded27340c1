"""The adapters that requests may name, as clients see them: LoRAs, words, networks and VAEs.

Law: only names leave the server; no path does, and none is made of a request's text.
"""

from diffusion.server.adapters.controls import ControlEntry, ControlTable
from diffusion.server.adapters.embeddings import EmbeddingEntry, EmbeddingTable
from diffusion.server.adapters.loras import LoraEntry, LoraTable
from diffusion.server.adapters.tables import AdapterTables
from diffusion.server.adapters.upscalers import UpscalerTable
from diffusion.server.adapters.vaes import VaeTable

__all__ = [
    "AdapterTables",
    "ControlEntry",
    "ControlTable",
    "EmbeddingEntry",
    "EmbeddingTable",
    "LoraEntry",
    "LoraTable",
    "UpscalerTable",
    "VaeTable",
]
