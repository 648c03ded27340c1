"""Self-attention made cheaper, or looked at: merged tokens, tiles, and the map of the middle.

Law: as of `diffusion.models`; each image is computed by itself.
"""

from diffusion.models.self_attention.probe import AttentionProbe, attention_probe, column_sums
from diffusion.models.self_attention.saving import Saving, TokenSaving, attend, token_saving

__all__ = [
    "AttentionProbe",
    "Saving",
    "TokenSaving",
    "attend",
    "attention_probe",
    "column_sums",
    "token_saving",
]
