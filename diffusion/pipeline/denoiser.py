"""The UNet as a denoiser of latents, with guidance in one batch; and the calls that runs make."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.models.freeu import FeatureScaling, feature_scaling
from diffusion.models.graph_cache import GraphCache
from diffusion.models.layers import seamless_padding
from diffusion.models.self_attention import (
    AttentionProbe,
    Saving,
    TokenSaving,
    attention_probe,
    token_saving,
)
from diffusion.models.unet import DeepFeature, deep_feature, time_features
from diffusion.pipeline.control import Active, ControlGraph, ControlUnit
from diffusion.pipeline.networks import Networks
from diffusion.samplers import Estimate, NumpyAlgebra
from diffusion.schedules import Scalings
from diffusion.tasks import GuidanceOptions
from diffusion.tasks.guidance_rule import GuidanceRule, Latents, first_estimate
from diffusion.tasks.self_attention import degrade
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, GpuError, Graph, f32
from gpustd import cast, combine_into, concat, linear_combination, slice_axis

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

_LATENT: Final = 8
"""Pixels of a latent's side."""

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
    ``number``: of the pass's calls, from 0.
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
    """The network captured with some of its controls, and its results.

    ``sums``: how much its middle looks at each place, where self-attention guidance asks for it.
    """

    graph: Graph
    unguided: Buffer[Any]
    guided: Latents
    sums: Buffer[f32] | None = None


class _Kind(NamedTuple):
    """What a captured network depends on: its controls, and whether it reuses deep features."""

    active: Active
    reuses: bool


class _Degraded(NamedTuple):
    """The network captured for degraded latents with the first part of the prompt."""

    latents: Buffer[Any]
    graph: Graph
    output: Buffer[Any]


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
    zero until `write_mask_channels`. ``controls`` are captured with the network; `choose_controls`
    says which of them count.
    """

    def __init__(
        self,
        networks: Networks,
        conditioning: Conditioning,
        shape: tuple[int, int, int, int],
        scale: float | None,
        weights: Sequence[float] = (1.0,),
        options: GuidanceOptions = GuidanceOptions(),  # noqa: B008 - it is frozen
        controls: Sequence[ControlUnit] = (),
    ) -> None:
        self._networks, self._shape = networks, shape
        self._rule = GuidanceRule(scale, tuple(weights), options)
        device, dtype, config = networks.device, networks.dtype, networks.folder.unet
        self._units = tuple(controls)
        self._controls = ControlGraph(controls, shape, self._rule.parts) if controls else None
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
        with device.capture() as prompt_graph, device.region("unet"):
            self._prompt = networks.unet.prompt_keys(self._conditioning.context)
            if self._controls is not None:
                self._controls.record_prompt(self._conditioning)
        self._prompt_graph: Graph = prompt_graph
        self._captured: dict[_Kind, _Captured] = {}
        self._kind = _Kind((True,) * len(controls), reuses=False)
        self._deep = DeepFeature(options.cache.branch) if options.cache is not None else None
        self._degraded: _Degraded | None = None
        self._capture()
        # Last, since a replay waits for its kernels: those of the network compile meanwhile.
        self._prompt_graph.replay()

    def _capture(self) -> _Captured:
        """Return the captured network, with those controls that count."""
        if self._kind in self._captured:
            return self._captured[self._kind]
        networks, parts = self._networks, self._rule.parts
        looks = self._rule.options.self_attention is not None
        probe = AttentionProbe(self._shape[0]) if looks else None
        if self._deep is not None:
            self._deep.reuses = self._kind.reuses
        saving = self._token_saving(parts)
        with (
            networks.device.capture() as graph,
            self._choices(saving),
            attention_probe(probe),
            deep_feature(self._deep),
        ):
            x, residuals = self._latents, None
            if self._controls is not None and not self._kind.reuses:
                residuals = self._controls.residuals(self._kind.active, x, self._features, parts)
            unguided = networks.unet(
                self._with_mask(x),
                self._features,
                self._prompt,
                parts=parts,
                added=self._conditioning.added,
                guidance=self._conditioning.guidance,
                residuals=residuals,
                perturbed=self._latents.shape[0] if self._rule.perturbed else 0,
            )
            guided = self._rule.output(unguided)
        found = _Captured(graph, unguided, guided, probe.sums if probe else None)
        return self._captured.setdefault(self._kind, found)

    def _token_saving(self, parts: int) -> TokenSaving | None:
        """Return what saves tokens in a call with so many parts of the prompt; None for nothing."""
        networks, options = self._networks, self._rule.options
        if options.merging is None and options.tiles is None:
            return None
        batch, height, width, _ = self._shape
        saving, config = _saving_of(options), networks.folder.unet
        images = batch, parts * batch
        return TokenSaving.make(networks.device, saving, config, (height, width), images)

    @contextmanager
    def _choices(self, saving: TokenSaving | None) -> Iterator[None]:
        """Apply the choices that change how the network computes, inside the context."""
        networks = self._networks
        with (
            networks.device.region("unet"),
            seamless_padding(networks.seamless),
            feature_scaling(self._scaling),
            token_saving(saving),
        ):
            yield

    def _with_mask(self, x: Buffer[Any]) -> Buffer[Any]:
        return x if self._mask_channels is None else concat([x, self._mask_channels], 3)

    def _capture_degraded(self) -> _Degraded:
        """Return the network for degraded latents, captured when it is first asked for."""
        if self._degraded is None:
            networks, images = self._networks, self._shape[0]
            latents: Buffer[Any] = networks.device.buffer(networks.dtype, self._shape)
            saving = self._token_saving(1)
            with networks.device.capture() as graph, self._choices(saving):
                first = self._conditioning.first(images)
                prompt = {
                    attention: (slice_axis(k, 0, 0, images), slice_axis(v, 0, 0, images))
                    for attention, (k, v) in self._prompt.items()
                }
                output = networks.unet(
                    self._with_mask(latents),
                    self._features,
                    prompt,
                    added=first.added,
                    guidance=first.guidance,
                )
            self._degraded = _Degraded(latents, graph, output)
        return self._degraded

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

    def _complete(self, conditioning: Conditioning) -> Conditioning:
        """Return a conditioning with the rows of the perturbed prompt, if there are any."""
        images = self._latents.shape[0]
        return conditioning.repeat_last(images) if self._rule.perturbed else conditioning

    def follow_controls(self, controls: Sequence[ControlUnit]) -> None:
        """Follow other controls from now on, of the keys of those at the capture."""
        self._units = tuple(controls)
        if self._controls is not None:
            self._controls.follow(controls)
        if self._without_negative is not None:
            self._without_negative.follow_controls(controls)

    def choose_controls(self, active: Active) -> None:
        """Let these controls count from now on: one for each of the denoiser's."""
        self._kind = self._kind._replace(active=active)
        if self._without_negative is not None:
            self._without_negative.choose_controls(active)

    def choose_features(self, call: int) -> None:
        """Let the network keep the features of its depth at a call of the pass, from 0, or not."""
        cache = self._rule.options.cache
        if cache is not None:
            self._kind = self._kind._replace(reuses=call % cache.interval != 0)

    def write_mask_channels(self, channels: NDArray[np.float32]) -> None:
        """Write the input channels (B, h, w, channels) that follow the latents."""
        if self._mask_channels is not None:
            self._mask_channels.write(channels.astype(self._mask_channels.dtype.numpy))
            if self._without_negative is not None:
                self._without_negative.write_mask_channels(channels)

    def __call__(self, x: Latents, sigma: float) -> Latents:
        """Return the estimate of x0."""
        scalings, found = self._run(x, sigma)
        return self._estimate(x, scalings, found)

    def _estimate(self, x: Latents, scalings: Scalings, found: _Captured) -> Latents:
        """Return the estimate of x0 by a run's results, with self-attention guidance if chosen."""
        estimate = self._rule.estimate(x, scalings, found.unguided, found.guided)
        rule = self._rule.options.self_attention
        if rule is None or found.sums is None:
            return estimate
        degraded = self._capture_degraded()
        first = first_estimate(x, scalings, found.unguided)
        blurred = degrade(first, found.sums, rule)
        noise = [(scalings.into, x), (-scalings.into, first)]
        combine_into(degraded.latents, [(scalings.into, blurred), *noise])
        degraded.graph.replay()
        rows = slice_axis(found.unguided, 0, 0, x.shape[0])
        push = scalings.out * rule.scale
        plain, other = cast(rows, f32), cast(degraded.output, f32)
        return linear_combination([(1.0, estimate), (push, plain), (-push, other)])

    def split(self, x: Latents, sigma: float) -> tuple[Latents, Latents]:
        """Return the estimate of x0, and the one of the negative prompt alone."""
        scalings, found = self._run(x, sigma)
        guided = self._estimate(x, scalings, found)
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
                controls=self._units,
            )
            made.choose_controls(self._kind.active)
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
        if self._degraded is not None:
            self._degraded.graph.release()
        if self._without_negative is not None:
            self._without_negative.release()


def _saving_of(options: GuidanceOptions) -> Saving:
    """Return the choices about tokens as the models know them: sides of tiles in latents."""
    merging, tiles = options.merging, options.tiles
    if tiles is not None:
        return Saving(tile=tiles.tile // _LATENT, swap=tiles.swap, depth=tiles.depth)
    assert merging is not None
    return Saving(merging.ratio, merging.downsample)
