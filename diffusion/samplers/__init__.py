"""Samplers: from noise to a picture along a list of noise levels.

Law: generator functions of the array type's linear combinations, a denoiser and a noise source;
nothing here knows a model, a pipeline or a device. x = x₀ + σ·noise throughout: a list that ends
above 0 leaves x / √(1 + σ²) as the network's own scale for what is left.

``SAMPLERS`` holds every sampler by name; ``Sampler.run`` runs one. The algorithms are generator
functions of a ``SamplingRun``, in one module for each family. They yield steps, and the calls of
the network that they wait for.
"""

from diffusion.samplers.brownian import BrownianPath
from diffusion.samplers.names import (
    SamplerChoice,
    choose_schedule,
    find_sampler,
    find_sampler_and_schedule,
)
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import (
    Algebra,
    Denoiser,
    Estimate,
    NetworkCall,
    NoiseSource,
    NumpyAlgebra,
    Sigmas,
    SplitDenoiser,
    Step,
    StepsAndCalls,
    answer,
)
from diffusion.samplers.registry import SAMPLERS
from diffusion.samplers.sampler import Sampler
from diffusion.samplers.sampling_run import Interval, SamplerFunction, SamplingRun

__all__ = [
    "SAMPLERS",
    "Algebra",
    "BrownianPath",
    "Denoiser",
    "Estimate",
    "Interval",
    "NetworkCall",
    "NoiseSource",
    "NumpyAlgebra",
    "Sampler",
    "SamplerChoice",
    "SamplerFunction",
    "SamplerOptions",
    "SamplingRun",
    "Sigmas",
    "SplitDenoiser",
    "Step",
    "StepsAndCalls",
    "answer",
    "choose_schedule",
    "find_sampler",
    "find_sampler_and_schedule",
]
