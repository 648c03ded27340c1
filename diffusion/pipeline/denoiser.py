"""The UNet as a denoiser of latents, with guidance in one batch; and the calls that runs make."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.rank_bank import RankBank
from diffusion.adapters.rank_slots import ChosenSet, PlacedSet
from diffusion.models.freeu import FeatureScaling, feature_scaling
from diffusion.models.graph_cache import GraphCache
from diffusion.models.layers import seamless_padding
from diffusion.models.low_rank import Updates, updates
from diffusion.models.unet import time_features
from diffusion.pipeline.control import Active, ControlGraph
from diffusion.pipeline.image_prompts import (
    NO_LEADING,
    ImagePromptGraph,
    LeadingUnits,
    PromptRows,
)
from diffusion.pipeline.networks import Networks
from diffusion.samplers import Estimate, NumpyAlgebra
from diffusion.schedules import Scalings
from diffusion.tasks import GuidanceOptions
from diffusion.tasks.guidance_rule import GuidanceRule, Latents, first_estimate
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, GpuError, Graph, u32
from gpustd import combine_into, concat, linear_combination
from gpustd.matmul.low_rank import NO_UPDATE

__all__ = [
    "BufferAlgebra",
    "GuidedDenoiser",
    "Latents",
    "LatentsEstimate",
    "Reading",
    "UNetCall",
    "WithCalls",
    "answer_alone",
    "ask_driver",
]

E = TypeVar("E")
R = TypeVar("R")

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
    ``alone``: it is made by `answer` only, since other networks or rules of guidance count in it.
    ``number``: of the pass's calls, from 0. ``loras``: the adapters beside the layers, of a run
    that has any.
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
    alone: bool
    number: int
    loras: ChosenSet | None
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


class _Captured(NamedTuple):
    """The network captured with some of its controls, and its results."""

    graph: Graph
    unguided: Buffer[Any]
    guided: Latents


class GuidedDenoiser:
    """``denoise(x, sigma)`` for latents (B, h, w, C) in f32, x = x0 + sigma * noise.

    ``conditioning`` has 2 B rows, the negative prompt's first, or B rows when ``scale`` is None,
    which means no guidance. With several ``weights`` the prompt has as many parts, of B rows each,
    whose guidance is added up. (Ho and Salimans 2022, arXiv 2207.12598; Liu et al. 2022, arXiv
    2206.01714.)

    The network and its guidance are captured once as a graph, the prompt's keys and values as
    another. A call writes the latents and the time features and replays the first graph. Nothing is
    read back. `attend` changes to another conditioning of the same shapes, so that one capture
    serves many pictures. ``options``: see `GuidanceOptions`.

    An inpainting network has more input channels than C. It reads them after the latents; they are
    zero until `write_mask_channels`. ``leading`` pictures are captured with the network;
    `choose_controls` says which of them count.

    ``bank``: of adapters beside the layers; `choose_loras` says which of them the pictures have.
    """

    def __init__(
        self,
        networks: Networks,
        conditioning: Conditioning,
        shape: tuple[int, int, int, int],
        scale: float | None,
        weights: Sequence[float] = (1.0,),
        options: GuidanceOptions = GuidanceOptions(),  # noqa: B008 - it is frozen
        leading: LeadingUnits = NO_LEADING,
        bank: RankBank | None = None,
    ) -> None:
        self._networks = networks
        self.bank = bank
        self._rule = GuidanceRule(scale, tuple(weights), options)
        device, dtype, config = networks.device, networks.dtype, networks.folder.unet
        self._leading, controls = leading, leading.controls
        self._controls = ControlGraph(controls, shape, self._rule.parts) if controls else None
        negative = shape[0] * (scale is not None)
        read = PromptRows(negative, shape[0] * self._rule.parts - negative)
        self._image_prompts = ImagePromptGraph(leading.image_prompts, shape, read)
        self._scaling: FeatureScaling | None = None
        if options.freeu is not None:
            freeu = options.freeu
            factors = (freeu.b1, freeu.s1), (freeu.b2, freeu.s2)
            size = shape[1], shape[2]
            self._scaling = FeatureScaling.make(device, dtype, factors, config, size, freeu.version)
        width = config.block_out_channels[0]
        self._latents: Buffer[Any] = device.buffer(dtype, shape)
        self._features: Buffer[Any] = device.buffer(dtype, (shape[0], width))
        extra = config.in_channels - shape[3]
        self._mask_channels: Buffer[Any] | None = None
        if extra:
            zeros = np.zeros((*shape[:3], extra))
            self._mask_channels = device.buffer_from_array(zeros, dtype)
        self._conditioning = self._complete(conditioning).copy()
        self._without_negative: GuidedDenoiser | None = None
        self._followed: weakref.ref[Conditioning] | None = weakref.ref(conditioning)
        self._placed: PlacedSet | None = None
        rows = np.full(self._conditioning.context.shape[0], NO_UPDATE, np.uint32)
        self._updates: Updates | None = None
        if bank is not None:
            self._updates = bank.updates(device.buffer_from_array(rows, u32))
        with (
            device.capture() as prompt_graph,
            device.region("unet"),
            updates(self._updates),
        ):
            self._prompt = networks.unet.prompt_keys(self._conditioning.context)
            if self._controls is not None:
                self._controls.record_prompt(self._conditioning)
        self._prompt_graph: Graph = prompt_graph
        self._captured: dict[Active, _Captured] = {}
        self._active: Active = (True,) * (len(controls) + len(leading.image_prompts))
        self._capture()
        # Last, since a replay waits for its kernels: those of the network compile meanwhile.
        self._prompt_graph.replay()

    def _capture(self) -> _Captured:
        """Return the captured network, with those controls that count."""
        if self._active in self._captured:
            return self._captured[self._active]
        networks, parts = self._networks, self._rule.parts
        device = networks.device
        with (
            device.capture() as graph,
            device.region("unet"),
            seamless_padding(networks.seamless),
            feature_scaling(self._scaling),
            updates(self._updates),
        ):
            x, residuals = self._latents, None
            count = len(self._leading.controls)
            if self._controls is not None:
                active = self._active[:count]
                residuals = self._controls.residuals(active, x, self._features, parts)
            if self._mask_channels is not None:
                x = concat([x, self._mask_channels], 3)
            unguided = networks.unet(
                x,
                self._features,
                self._image_prompts.extend(self._prompt, self._active[count:]),
                parts=parts,
                added=self._conditioning.added,
                guidance=self._conditioning.guidance,
                residuals=residuals,
                perturbed=self._latents.shape[0] if self._rule.perturbed else 0,
            )
            guided = self._rule.output(unguided)
        return self._captured.setdefault(self._active, _Captured(graph, unguided, guided))

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
        self._conditioning.copy_from(self._complete(conditioning))
        self._prompt_graph.replay()
        self._followed = weakref.ref(conditioning)
        if self._without_negative is not None:
            self._without_negative.attend(conditioning.last(self._latents.shape[0]))

    def choose_loras(self, placed: PlacedSet) -> None:
        """Let all pictures have the adapters in a slot of the bank from now on."""
        if self._updates is None or placed == self._placed:
            return
        self._placed = None  # if this is interrupted, no slot is chosen
        chosen = self._updates.chosen
        chosen.write(np.full(chosen.shape, placed.slot, np.uint32))
        self._prompt_graph.replay()
        self._placed = placed
        if self._without_negative is not None:
            self._without_negative.choose_loras(placed)

    def _complete(self, conditioning: Conditioning) -> Conditioning:
        """Return a conditioning with the rows of the perturbed prompt, if there are any."""
        images = self._latents.shape[0]
        return conditioning.repeat_last(images) if self._rule.perturbed else conditioning

    def follow_controls(self, leading: LeadingUnits) -> None:
        """Follow other leading pictures from now on, of the keys of those at the capture."""
        self._leading = leading
        if self._controls is not None:
            self._controls.follow(leading.controls)
        self._image_prompts.follow(leading.image_prompts)
        if self._without_negative is not None:
            self._without_negative.follow_controls(leading)

    def choose_controls(self, active: Active) -> None:
        """Let these controls, then these image prompts count from now on."""
        self._active = active
        if self._without_negative is not None:
            self._without_negative.choose_controls(active)

    def write_mask_channels(self, channels: NDArray[np.float32]) -> None:
        """Write the input channels (B, h, w, channels) that follow the latents."""
        if self._mask_channels is not None:
            self._mask_channels.write(channels.astype(self._mask_channels.dtype.numpy))
            if self._without_negative is not None:
                self._without_negative.write_mask_channels(channels)

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Return the estimate of x0."""
        scalings, found = self._run(x, sigma)
        return self._rule.estimate(x, scalings, found.unguided, found.guided)

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """Return the estimate of x0, and the one of the negative prompt alone."""
        scalings, found = self._run(x, sigma)
        guided = self._rule.estimate(x, scalings, found.unguided, found.guided)
        return guided, first_estimate(x, scalings, found.unguided)

    def without_negative(self, conditioning: Conditioning) -> GuidedDenoiser:
        """Return a denoiser of the prompt alone, which shares this one's mask; made once.

        ``conditioning``: what this one follows.
        """
        if self._without_negative is None:
            batch, height, width, channels = self._latents.shape
            made = GuidedDenoiser(
                self._networks,
                conditioning.last(batch),
                (batch, height, width, channels),
                None,
                options=self._rule.options,
                leading=self._leading,
                bank=self.bank,
            )
            made.choose_controls(self._active)
            if self._placed is not None:
                made.choose_loras(self._placed)
            if made._mask_channels is not None and self._mask_channels is not None:
                made._mask_channels.copy_from(self._mask_channels)
            self._without_negative = made
        return self._without_negative

    def _run(self, x: Latents, sigma: float) -> tuple[Scalings, _Captured]:
        """Run the network on ``x``; return the scalings of this noise level, and its results."""
        noise = self._networks.noise
        scalings, found = noise.scalings(sigma), self._capture()
        combine_into(self._latents, [(scalings.into, x)])
        timesteps = [noise.timestep_of(sigma)] * x.shape[0]
        features = time_features(timesteps, self._networks.folder.unet)
        self._features.write(features.astype(self._features.dtype.numpy))
        found.graph.replay()
        return scalings, found

    def release(self) -> None:
        """Give the graphs' memory back."""
        for found in self._captured.values():
            found.graph.release()
        self._prompt_graph.release()
        if self._without_negative is not None:
            self._without_negative.release()
