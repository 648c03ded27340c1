"""The adapters of a run: found by name, then merged into the weights or kept beside them.

Law: what a run draws with stands in `RunLoras` of its passes. A run whose adapters are beside the
weights never changes what another run draws.
"""

from diffusion.pipeline.lora.chosen import ChosenLora
from diffusion.pipeline.lora.loras import Loras
from diffusion.pipeline.lora.mode import MODES, LoraMode
from diffusion.pipeline.lora.run_loras import ChosenKey, RunLoras

__all__ = ["MODES", "ChosenKey", "ChosenLora", "LoraMode", "Loras", "RunLoras"]
