"""The UNet as a denoiser of latents, with guidance in one batch; and the calls that runs make."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.models.graph_cache import GraphCache
from diffusion.models.layers import seamless_padding
from diffusion.models.unet import time_features
from diffusion.pipeline.networks import Networks
from diffusion.samplers import Estimate, NumpyAlgebra
from diffusion.schedules import Scalings
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, GpuError, Graph, f32
from gpustd import cast, combine_into, concat, guidance, linear_combination, slice_axis

__all__ = [
    "BufferAlgebra",
    "GuidedDenoiser",
    "Latents",
    "LatentsEstimate",
    "Reading",
    "UNetCall",
    "WithCalls",
    "answer_alone",
    "apply_guidance",
    "ask_driver",
]

E = TypeVar("E")
R = TypeVar("R")

Latents = Buffer[f32]

LatentsEstimate: TypeAlias = Estimate[Latents]


@dataclass(frozen=True, eq=False)
class UNetCall:
    """A call of the UNet that a run waits for: the estimate of x0 in ``x`` at ``sigma``.

    ``x``: latents (B, h, w, C) in f32. ``conditioning``: of one image, with the negative prompt's
    row first unless ``scale`` is None; ``weights`` of its other rows, as in `GuidedDenoiser`. It is
    the same object for as long as the texts are the same. ``mask_channels`` (B, h, w, channels): of
    an inpainting network. ``both``: the estimate without the prompt is needed, too.

    Whoever drives the run makes it by `answer`, or together with those of other runs, and sends the
    estimate. ``shared``: the cache for the networks that do so, released when weights change.
    ``traits``: what else these depend on; calls with other traits are never made together.
    """

    networks: Networks
    x: Latents
    sigma: float
    both: bool
    conditioning: Conditioning
    scale: float | None
    weights: tuple[float, ...]
    mask_channels: NDArray[np.float32] | None
    traits: Hashable
    shared: GraphCache[Any]
    _make: Callable[[UNetCall], LatentsEstimate] = field(repr=False)

    def answer(self) -> LatentsEstimate:
        """Make the call alone, with the run's own captured network."""
        return self._make(self)


class Reading:
    """A moment at which a run would wait for the device; it may have other work first."""


WithCalls: TypeAlias = Generator[E | UNetCall, LatentsEstimate | None, None]
"""A run whose driver makes the calls: it is sent the estimate after each, and None otherwise."""

Calls: TypeAlias = Generator[UNetCall, LatentsEstimate | None, R]
"""A part of a driver that yields calls to a driver of its own, and returns R."""


def ask_driver(call: UNetCall, run: WithCalls[Any]) -> Calls[LatentsEstimate]:
    """Yield a call of a run to one's own driver; return its estimate.

    Where the driver throws an error, the run gets it first, to say what to do.
    """
    try:
        estimate = yield call
    except GpuError as error:
        run.throw(error)
        raise
    assert estimate is not None
    return estimate


def answer_alone(run: WithCalls[E | Reading]) -> Generator[E]:
    """Yield what a run yields, and make its calls alone."""
    with closing(run):
        estimate: LatentsEstimate | None = None
        while True:
            try:
                found = run.send(estimate)
            except StopIteration:
                return
            estimate = None
            if not isinstance(found, UNetCall):
                if not isinstance(found, Reading):
                    yield found
                continue
            try:
                estimate = found.answer()
            except GpuError as error:
                run.throw(error)  # the run says what to do
                raise


class BufferAlgebra:
    """Linear combinations on the device, for the samplers."""

    def combine(self, terms: Sequence[tuple[float, Latents]]) -> Latents:
        """Return a new buffer: the sum of factor times buffer."""
        return linear_combination(terms)

    def distance(
        self, x: Latents, y: Latents, before: Latents, absolute: float, relative: float
    ) -> float:
        """Return the distance of `Algebra`, computed on the host."""
        return NumpyAlgebra().distance(x.read(), y.read(), before.read(), absolute, relative)


class GuidedDenoiser:
    """``denoise(x, sigma)`` for latents (B, h, w, C) in f32, x = x0 + sigma * noise.

    ``conditioning`` has 2 B rows, the negative prompt's first, or B rows when ``scale`` is None,
    which means no guidance. With several ``weights`` the prompt has as many parts, of B rows each,
    whose guidance is added up. (Ho and Salimans 2022, arXiv 2207.12598; Liu et al. 2022, arXiv
    2206.01714.)

    The network and its guidance are captured once as a graph, the prompt's keys and values as
    another. A call writes the latents and the time features and replays the first graph. Nothing is
    read back. `attend` changes to another conditioning of the same shapes, so that one capture
    serves many pictures.

    An inpainting network has more input channels than C. It reads them after the latents; they are
    zero until `write_mask_channels`.
    """

    def __init__(
        self,
        networks: Networks,
        conditioning: Conditioning,
        shape: tuple[int, int, int, int],
        scale: float | None,
        weights: Sequence[float] = (1.0,),
    ) -> None:
        self._networks = networks
        device, dtype = networks.device, networks.dtype
        parts = 1 if scale is None else 1 + len(weights)
        width = networks.folder.unet.block_out_channels[0]
        self._latents: Buffer[Any] = device.buffer(dtype, shape)
        self._features: Buffer[Any] = device.buffer(dtype, (shape[0], width))
        extra = networks.folder.unet.in_channels - shape[3]
        self._mask_channels: Buffer[Any] | None = None
        if extra:
            zeros = np.zeros((*shape[:3], extra))
            self._mask_channels = device.buffer_from_array(zeros, dtype)
        self._conditioning = conditioning.copy()
        self._followed: weakref.ref[Conditioning] | None = weakref.ref(conditioning)
        with device.capture() as prompt_graph, device.region("unet"):
            prompt = networks.unet.prompt_keys(self._conditioning.context)
        self._prompt_graph: Graph = prompt_graph
        with device.capture() as graph, device.region("unet"), seamless_padding(networks.seamless):
            x = self._latents
            if self._mask_channels is not None:
                x = concat([x, self._mask_channels], 3)
            self._unguided = networks.unet(
                x,
                self._features,
                prompt,
                parts=parts,
                added=self._conditioning.added,
                guidance=self._conditioning.guidance,
            )
            guided = self._unguided
            if scale is not None:
                guided = apply_guidance(self._unguided, scale, weights)
            self._guided: Latents = cast(guided, f32)
        self._graph: Graph = graph
        # Last, since a replay waits for its kernels: those of the network compile meanwhile.
        self._prompt_graph.replay()

    @property
    def size(self) -> int:
        """Latent pixels of the batch."""
        batch, height, width, _ = self._latents.shape
        return batch * height * width

    def attend(self, conditioning: Conditioning) -> None:
        """Follow another conditioning from now on, of the shapes of that at the capture."""
        if self._followed is not None and self._followed() is conditioning:
            return
        self._followed = None  # if this is interrupted, neither conditioning is followed
        self._conditioning.copy_from(conditioning)
        self._prompt_graph.replay()
        self._followed = weakref.ref(conditioning)

    def write_mask_channels(self, channels: NDArray[np.float32]) -> None:
        """Write the input channels (B, h, w, channels) that follow the latents."""
        if self._mask_channels is not None:
            self._mask_channels.write(channels.astype(self._mask_channels.dtype.numpy))

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Return the estimate of x0."""
        _, skip, out = self._run(x, sigma)
        return linear_combination([(skip, x), (out, self._guided)])

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """Return the estimate of x0, and the one of the negative prompt alone."""
        _, skip, out = self._run(x, sigma)
        rows, batch = self._unguided, x.shape[0]
        negative = rows if rows.shape[0] == batch else slice_axis(rows, 0, 0, batch)
        outputs = self._guided, cast(negative, f32)
        guided, unguided = (linear_combination([(skip, x), (out, each)]) for each in outputs)
        return guided, unguided

    def _run(self, x: Latents, sigma: float) -> Scalings:
        """Run the network on ``x``; return the scalings of this noise level."""
        noise = self._networks.noise
        scalings = noise.scalings(sigma)
        combine_into(self._latents, [(scalings.into, x)])
        timesteps = [noise.timestep_of(sigma)] * x.shape[0]
        features = time_features(timesteps, self._networks.folder.unet)
        self._features.write(features.astype(self._features.dtype.numpy))
        self._graph.replay()
        return scalings

    def release(self) -> None:
        """Give the graphs' memory back."""
        self._graph.release()
        self._prompt_graph.release()


def apply_guidance(output: Buffer[Any], scale: float, weights: Sequence[float]) -> Buffer[Any]:
    """Return U + scale · Σ wᵢ·(Cᵢ - U); ``output`` has the rows of U, then of each part's Cᵢ."""
    if tuple(weights) == (1.0,):
        return guidance(output, scale)
    count = output.shape[0] // (1 + len(weights))
    factors = [1.0 - scale * sum(weights), *(scale * weight for weight in weights)]
    total: Buffer[Any] | None = None
    for part, factor in enumerate(factors):
        rows = cast(slice_axis(output, 0, part * count, (part + 1) * count), f32)
        sum_so_far = [] if total is None else [(1.0, total)]
        total = linear_combination([*sum_so_far, (factor, rows)])
    assert total is not None
    return total
