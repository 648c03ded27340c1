"""The UNet as a denoiser of latents, with guidance in one batch."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.rank_bank import RankBank
from diffusion.adapters.rank_slots import PlacedSet
from diffusion.models.features import DeepFeature, FeatureScaling, deep_feature, feature_scaling
from diffusion.models.layers import seamless_padding
from diffusion.models.lite import NO_CHANGES, input_changes
from diffusion.models.low_rank import Updates, updates
from diffusion.models.self_attention import (
    AttentionProbe,
    Saving,
    TokenSaving,
    attention_probe,
    token_saving,
)
from diffusion.models.transformer import AttentionKeys
from diffusion.models.unet import time_features
from diffusion.pipeline.control import Active, ControlGraph
from diffusion.pipeline.image_prompts import (
    NO_LEADING,
    ImagePromptGraph,
    LeadingUnits,
    PromptRows,
)
from diffusion.pipeline.networks import Networks
from diffusion.samplers import NumpyAlgebra
from diffusion.schedules import Scalings
from diffusion.tasks import GuidanceOptions
from diffusion.tasks.guidance_rule import GuidanceRule, Latents, first_estimate
from diffusion.tasks.self_attention import degrade
from diffusion.text.conditioning import Conditioning
from gpucore import Buffer, Graph, f32, u32
from gpustd import cast, combine_into, concat, linear_combination, slice_axis
from gpustd.matmul.low_rank import NO_UPDATE

__all__ = [
    "BufferAlgebra",
    "GuidedDenoiser",
    "Latents",
]

_LATENT: Final = 8
"""Pixels of a latent's side."""


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
    """The key of a captured network: its controls, and whether it reuses deep features."""

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
        self._networks, self._shape, self.bank = networks, shape, bank
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
        self._written: list[Updates] = []
        self._updates = self._new_updates(self._conditioning.context.shape[0])
        with (
            device.capture() as prompt_graph,
            device.region("unet"),
            updates(self._updates),
        ):
            self._prompt = networks.unet.prompt_keys(self._conditioning.context)
            if self._controls is not None:
                self._controls.record_prompt(self._conditioning)
        self._prompt_graph: Graph = prompt_graph
        self._captured: dict[_Kind, _Captured] = {}
        self._kind = _Kind((True,) * (len(controls) + len(leading.image_prompts)), reuses=False)
        self._deep = DeepFeature(options.cache.branch) if options.cache is not None else None
        self._degraded: _Degraded | None = None
        self._capture()
        # Last, since a replay waits for its kernels: those of the network compile meanwhile.
        self._prompt_graph.replay()
        if self._controls is not None:
            self._controls.read_pictures()

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
            self._choices(saving, self._updates),
            attention_probe(probe),
            deep_feature(self._deep),
        ):
            x, residuals = self._latents, None
            count = len(self._leading.controls)
            active, changes = self._kind.active[:count], NO_CHANGES
            if self._controls is not None:
                changes = self._controls.input_changes(active, networks.unet)
                if not self._kind.reuses:
                    residuals = self._controls.residuals(active, x, self._features, parts)
            with input_changes(changes):
                unguided = networks.unet(
                    self._with_mask(x),
                    self._features,
                    self._image_prompts.extend(self._prompt, self._kind.active[count:]),
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
    def _choices(self, saving: TokenSaving | None, loras: Updates | None) -> Iterator[None]:
        """Apply the choices that change how the network computes, inside the context."""
        networks = self._networks
        with (
            networks.device.region("unet"),
            seamless_padding(networks.seamless),
            feature_scaling(self._scaling),
            token_saving(saving),
            updates(loras),
        ):
            yield

    def _with_mask(self, x: Buffer[Any]) -> Buffer[Any]:
        return x if self._mask_channels is None else concat([x, self._mask_channels], 3)

    def _capture_degraded(self) -> _Degraded:
        """Return the network for degraded latents, captured when it is first asked for."""
        if self._degraded is None:
            networks, images = self._networks, self._shape[0]
            latents: Buffer[Any] = networks.device.buffer(networks.dtype, self._shape)
            saving, loras = self._token_saving(1), self._new_updates(images)
            with networks.device.capture() as graph, self._choices(saving, loras):
                first = self._conditioning.first(images)
                prompt = {
                    attention: AttentionKeys(
                        slice_axis(keys.keys, 0, 0, images), slice_axis(keys.values, 0, 0, images)
                    )
                    for attention, keys in self._prompt.items()
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

    def _new_updates(self, rows: int) -> Updates | None:
        """Return the places where each of so many rows finds its adapters; None without a bank."""
        if self.bank is None:
            return None
        slot = NO_UPDATE if self._placed is None else self._placed.slot
        chosen = self._networks.device.buffer_from_array(np.full(rows, slot, np.uint32), u32)
        self._written.append(self.bank.updates(chosen))
        return self._written[-1]

    def choose_loras(self, placed: PlacedSet) -> None:
        """Let all pictures have the adapters in a slot of the bank from now on."""
        if self._updates is None or placed == self._placed:
            return
        self._placed = None  # if this is interrupted, no slot is chosen
        for each in self._written:
            each.chosen.write(np.full(each.chosen.shape, placed.slot, np.uint32))
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
                leading=self._leading,
                bank=self.bank,
            )
            made.choose_controls(self._kind.active)
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
        if self._controls is not None:
            self._controls.release()
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
