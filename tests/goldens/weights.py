"""The golden models' weights, inputs and noise, drawn by rule so that no file has to carry them.

Every array comes from a name: the name's hash keys a Philox counter generator, whose raw words
NumPy keeps the same for ever (its `Generator` methods it may change). Words become numbers by
exact integer sums and one rounded division, never through `log` or `cos`, so that every machine
draws the same bits.

    from tests.goldens import weights

    kernel = weights.weight("two_levels", "unet", "conv_in.weight", (16, 4, 3, 3))
    x = weights.initial_noise(batch=2, height=8, width=12) * sigmas[0]      # (2, 4, 8, 12)
    x = x + sigma_up * weights.step_noise(0, batch=2, height=8, width=12)   # after step 0
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]

LATENT_CHANNELS = 4
"""Channels of every Stable Diffusion 1.x latent."""

_BIAS_SPREAD = np.float32(0.1)
_NORM_SPREAD = np.float32(0.2)
# The sum of four integers uniform on [0, 65535] has mean 131070, variance 4 (65536² - 1) / 12.
_SUM_MEAN = 131_070.0
_SUM_DEVIATION = math.sqrt((65_536**2 - 1) / 3)


def words(name: str, count: int) -> NDArray[np.uint64]:
    """Return `count` random 64-bit words that depend on `name` alone."""
    key = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return np.random.Philox(key=int.from_bytes(key, "little")).random_raw(count)


def normal(name: str, shape: Sequence[int]) -> Array:
    """Return nearly normal f32 numbers (mean 0, variance 1, at most 3.47), sums of 4 uniforms."""
    drawn = words(name, math.prod(shape))
    total = np.zeros(drawn.shape, np.float64)
    for shift in (0, 16, 32, 48):
        total += (drawn >> np.uint64(shift)) & np.uint64(0xFFFF)
    return ((total - _SUM_MEAN) / _SUM_DEVIATION).astype(np.float32).reshape(shape)


def uniform(name: str, shape: Sequence[int]) -> Array:
    """Return f32 numbers spread evenly over [-1, 1), each a multiple of 2⁻²³."""
    top = (words(name, math.prod(shape)) >> np.uint64(40)).astype(np.float64)
    return (top / 2**23 - 1.0).astype(np.float32).reshape(shape)


def weight(model: str, part: str, name: str, shape: Sequence[int]) -> Array:
    """Return a parameter of a golden model: f32, every value representable in f16.

    `model` is a key of `configs.MODELS`, `part` one of "text_encoder", "unet", "vae", and `name`
    the parameter's name as diffusers or transformers 4 saves it. Matrices and kernels have the
    standard deviation 1/√(fan in), so that activations stay near 1; biases 0.1; norm weights
    stand around 1 with 0.2; embedding tables have 1.
    """
    drawn = normal(f"{model}/{part}/{name}", shape)
    if name.endswith("embedding.weight"):
        scaled = drawn
    elif len(shape) >= 2:
        scaled = drawn / np.float32(math.sqrt(math.prod(shape[1:])))
    elif name.endswith(".weight"):
        scaled = np.float32(1.0) + _NORM_SPREAD * drawn
    else:
        scaled = _BIAS_SPREAD * drawn
    return scaled.astype(np.float16).astype(np.float32)


def digest(parameters: Mapping[str, Array]) -> str:
    """Return the SHA-256 of a network's weights: names in order, each with its values' bytes."""
    total = hashlib.sha256()
    for name in sorted(parameters):
        total.update(name.encode())
        total.update(parameters[name].astype("<f4").tobytes())
    return total.hexdigest()


def initial_noise(*, batch: int, height: int, width: int) -> Array:
    """Return the unit noise that sampling starts from: (batch, 4, height, width) of the latents.

    Image i's noise is the same in every batch. The golden runs start at x = noise · σ₀.
    """
    shape = (LATENT_CHANNELS, height, width)
    return np.stack([normal(f"noise/image {i}/initial", shape) for i in range(batch)])


def step_noise(step: int, *, batch: int, height: int, width: int) -> Array:
    """Return the unit noise that a stochastic sampler adds in step `step` (from 0)."""
    shape = (LATENT_CHANNELS, height, width)
    return np.stack([normal(f"noise/image {i}/step {step}", shape) for i in range(batch)])
