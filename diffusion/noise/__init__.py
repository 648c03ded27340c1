"""Unit normal noise from a seed: the same bits on every machine, or those of PyTorch.

Law: host arrays only, from a seed and a counter.
"""

from diffusion.noise.latent_noise import Draw, LatentNoise
from diffusion.noise.registry import NOISES, Noise

__all__ = ["NOISES", "Draw", "LatentNoise", "Noise"]
