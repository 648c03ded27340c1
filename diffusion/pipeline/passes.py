"""One pass of a run: a model takes latents down a sigma schedule, at one size, with one prompt.

A base pass comes first. A hires pass draws the enlarged picture anew; a refiner pass goes on with
the base's latents on another model.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Literal

from diffusion.adapters.rank_slots import ChosenSet
from diffusion.adapters.tags import remove_tags
from diffusion.checks import check_integer
from diffusion.control import Control, ImagePrompt
from diffusion.control.strengths import is_active
from diffusion.errors import SettingsError
from diffusion.noise import NOISES, LatentNoise
from diffusion.pipeline.control import (
    Active,
    ControlledModel,
    ControlNetwork,
    ControlUnit,
    crop_control,
    require_whole_tokens,
    units_of,
)
from diffusion.pipeline.image_prompts import (
    ImagePromptUnit,
    LeadingUnits,
    LoadedAdapter,
    prompt_units_of,
)
from diffusion.pipeline.init_image import EncodedImage, reads_mask
from diffusion.pipeline.lora import ChosenKey, RunLoras
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.run_cache import RunCache
from diffusion.prompts import (
    EMPHASES,
    NO_WORDS,
    Chunk,
    LearnedWord,
    Script,
    WordTable,
    chunk_script,
    read_script,
)
from diffusion.settings import Settings
from diffusion.tasks.hires import UPSCALERS, Hires
from diffusion.tasks.sigmas import SigmaSchedule, full_schedule, partial_schedule
from diffusion.text.conditioning import Conditioning, Sizes
from diffusion.upscaling import UpscalerNetwork

__all__ = [
    "Pass",
    "base_pass",
    "hires_pass",
    "split_passes",
    "with_controls",
    "with_image_prompts",
    "word_fields",
]

PassKind = Literal["base", "hires", "refiner"]


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass, ready to sample.

    ``settings``: complete, with those that this pass has for itself. ``prompts``: the texts of each
    call of the network, the negative prompt's first where ``scale`` is not None; ``chunks``: their
    chunks, for each variant of the texts. ``scale``: the scale of classifier-free guidance, None
    without. ``init_image``: the picture that it starts from, or keeps outside of a mask.
    ``steps_before``: steps that another pass made of the same schedule; noise and calls are
    numbered on from there. ``words``: those whose embeddings come from files. ``controls``:
    pictures that lead it. ``image_prompts``: pictures that are read as a prompt. ``loras``:
    adapters beside the layers, if there are any. ``upscaler``: the network that enlarges the
    pass before for a hires pass. ``enlarged``: the size that it is enlarged to, whose middle is
    drawn.
    """

    kind: PassKind
    networks: Networks
    cache: RunCache
    settings: Settings
    schedule: SigmaSchedule
    prompts: Script
    chunks: list[list[list[Chunk]]]
    scale: float | None
    init_image: EncodedImage | None = None
    steps_before: int = 0
    words: WordTable = NO_WORDS
    controls: tuple[ControlUnit, ...] = ()
    image_prompts: tuple[ImagePromptUnit, ...] = ()
    loras: RunLoras | None = None
    upscaler: UpscalerNetwork | None = None
    enlarged: tuple[int, int] = (0, 0)
    _conditionings: dict[Hashable, Conditioning] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.settings.width or 0, self.settings.height or 0

    @property
    def leading(self) -> LeadingUnits:
        """The pictures that lead it, of both kinds."""
        return LeadingUnits(self.controls, self.image_prompts)

    @property
    def found_words(self) -> tuple[LearnedWord, ...]:
        """The words from files in the texts of all calls."""
        return tuple(dict.fromkeys(word for rows in self.chunks for word in _words_in(rows)))

    def noise(self, seeds: tuple[int, ...]) -> LatentNoise:
        """Return the noise of images with these seeds."""
        vae = self.networks.folder.vae
        width, height = (side // vae.downscale for side in self.size)
        draw = NOISES.find(self.settings.rng).draw
        follows_seed = self.schedule.sampler.brownian
        delta = 0 if follows_seed else self.settings.sampling.noise_seed_delta or 0
        return LatentNoise(seeds, height, width, vae.latent_channels, draw, delta)

    def variant(self, call: int) -> int:
        """Return the number of the texts of a call of the network in this pass, from 0."""
        return self.prompts.at(call + self.steps_before * self.schedule.sampler.calls)

    def skips_negative(self, call: int, sigma: float) -> bool:
        """Tell whether a call of the network leaves the negative prompt out, as was chosen."""
        options = self.settings.guidance_options
        guided = self.scale is not None and options.changes_calls
        return guided and options.skips_negative(call, len(self.prompts.order), sigma)

    @property
    def _steps(self) -> int:
        """The steps of this pass, and of the one before of the same schedule."""
        return self.schedule.steps_made + self.steps_before

    def loras_at(self, call: int) -> ChosenSet | None:
        """Return the adapters beside the layers at a call of the network in this pass, from 0."""
        if self.loras is None:
            return None
        step = call // self.schedule.sampler.calls + self.steps_before
        return self.loras.at(min(step, self._steps - 1), self._steps)

    def lora_sets(self) -> set[ChosenKey]:
        """Return the keys of all sets of adapters that this pass has beside the layers."""
        return set() if self.loras is None else self.loras.keys(self._steps)

    def active_controls(self, call: int) -> Active:
        """Return which controls count at a call of this pass, from 0, then which image prompts."""
        step, steps = call // self.schedule.sampler.calls, self.schedule.steps_made
        windows = (
            *((each.control.start, each.control.end) for each in self.controls),
            *((each.prompt.start, each.prompt.end) for each in self.image_prompts),
        )
        return tuple(is_active(*window, step, steps) for window in windows)

    def conditioning(self, call: int = 0) -> Conditioning:
        """Return the UNet's conditioning of one image at a call of this pass, from 0.

        It has one row, or the negative prompt's row first and one for each part of the prompt.
        """
        variant = self.variant(call)
        width, height = self.size
        sizes = Sizes.of(height, width)
        emphasis = EMPHASES.find(self.settings.emphasis)
        guidance, skip = max(self.settings.guidance or 0.0, 1.0), self.settings.clip_skip - 1
        embeddings = self.settings.embeddings

        def encode() -> Conditioning:
            with nullcontext() if self.loras is None else self.loras.encoding():
                return encode_texts()

        def encode_texts() -> Conditioning:
            if embeddings is not None:
                return self.networks.conditioning_of(
                    embeddings, sizes, guided=self.scale is not None, guidance=guidance
                )
            return self.networks.encode_conditioning(
                self.chunks[variant], emphasis, sizes, guidance=guidance, skip=skip
            )

        texts, most_chunks = self.prompts.variants[variant], len(self.chunks[variant][0])
        words = _words_in(self.chunks[variant])
        loras = None if self.loras is None else self.loras.chosen
        key = (texts, most_chunks, emphasis.name, sizes, guidance, skip, embeddings, words, loras)
        if key not in self._conditionings:
            self._conditionings[key] = self.cache.conditioning(key, encode)
        return self._conditionings[key]


def base_pass(
    networks: Networks, cache: RunCache, settings: Settings, words: WordTable = NO_WORDS
) -> Pass:
    """Return the first pass of complete settings. Raises `SettingsError`.

    ``words``: those whose embeddings come from files. Raises `ModelNotFoundError` where a picture
    is encoded and the VAE only decodes, and `ModelError` for a word's file.
    """
    if settings.init_image is not None or reads_mask(networks):
        networks.autoencoder.source.require_encoder()
    networks = replace(networks, seamless=settings.seamless)
    if settings.zero_snr:
        networks = replace(networks, noise=networks.noise.with_zero_snr())
    check_integer("clip_skip", settings.clip_skip, 1, networks.text.most_skipped + 1)
    schedule = full_schedule(
        networks.noise,
        settings.sampler or "",
        settings.schedule or "automatic",
        settings.steps or 1,
        settings.eta,
        settings.sampling,
    )
    encoded = None
    if settings.init_image is not None:
        schedule = schedule.for_strength(settings.init_image.strength)
        prepared = settings.init_image.prepare((settings.width or 0, settings.height or 0))
        inpaint = settings.init_image.inpaint
        content = inpaint.content if inpaint else "original"
        soft = inpaint is not None and inpaint.soft
        encoded = EncodedImage(networks, prepared, content, settings.vae_tiling, soft=soft)
    prompts, scale = _read_prompts(networks, settings, schedule)
    _check_guidance(networks, settings, schedule, prompts)
    chunks = chunk_script(prompts, EMPHASES.find(settings.emphasis), networks.tokenizer, words)
    return Pass(
        "base",
        networks,
        cache,
        settings,
        schedule,
        prompts,
        chunks,
        scale,
        encoded,
        words=words,
    )


def hires_pass(base: Pass, hires: Hires, upscaler: UpscalerNetwork | None = None) -> Pass:
    """Return the pass that draws the base's enlarged picture anew. Raises as `base_pass` does.

    ``upscaler``: the network that enlarges it; None where ``hires`` names a filter.
    """
    networks, base_settings = base.networks, base.settings
    if upscaler is not None or UPSCALERS.find(str(hires.upscaler)).kernel is None:
        networks.autoencoder.source.require_encoder()
    sampler, schedule_name = hires.sampler_and_schedule(
        base_settings.sampler or "", base_settings.schedule or "automatic"
    )
    steps = hires.steps or base_settings.steps or 1
    schedule = partial_schedule(
        networks.noise,
        sampler,
        schedule_name,
        steps,
        base_settings.eta,
        hires.strength,
        base_settings.sampling,
    )
    width, height = hires.size(*base.size)
    settings = replace(
        base_settings,
        prompt=base_settings.prompt if hires.prompt is None else hires.prompt,
        negative=base_settings.negative if hires.negative is None else hires.negative,
        guidance=base_settings.guidance if hires.guidance is None else hires.guidance,
        guidance_options=base_settings.guidance_options.for_hires,
        embeddings=base_settings.embeddings if hires.prompt is None else None,
        sampler=sampler,
        schedule=schedule_name,
        steps=steps,
        width=width,
        height=height,
    )
    calls_before = _count_calls(base_settings, base.schedule)
    prompts, scale = _read_prompts(networks, settings, schedule, calls_before)
    _check_guidance(networks, settings, schedule, prompts)
    chunks = chunk_script(prompts, EMPHASES.find(settings.emphasis), networks.tokenizer, base.words)
    return Pass(
        "hires",
        networks,
        base.cache,
        settings,
        schedule,
        prompts,
        chunks,
        scale,
        words=base.words,
        upscaler=upscaler,
        enlarged=hires.enlarged_size(*base.size),
    )


def with_controls(
    current: Pass, loaded: Sequence[tuple[Control, ControlNetwork]], model: ControlledModel
) -> Pass:
    """Return a pass with those controls that count in it. Raises `SettingsError`."""
    prepared = current.init_image.prepared if current.init_image else None
    given = current.settings.init_image
    if prepared is not None and given is not None and given.only_masked:
        loaded = [(crop_control(control, prepared), network) for control, network in loaded]
    units = units_of(loaded, model, current.size, prepared, hires=current.kind == "hires")
    require_whole_tokens(units, current.settings.guidance_options)
    return replace(current, controls=units)


def with_image_prompts(current: Pass, loaded: Sequence[tuple[ImagePrompt, LoadedAdapter]]) -> Pass:
    """Return a pass with those image prompts that count in it. Raises `SettingsError`."""
    given = current.settings.init_image
    prepared = None
    if current.init_image is not None and given is not None and given.only_masked:
        prepared = current.init_image.prepared
    units = prompt_units_of(loaded, current.size, prepared, hires=current.kind == "hires")
    return replace(current, image_prompts=units)


def split_passes(base: Pass, refiner: Pass, switch: int) -> list[Pass]:
    """Return the base pass with its first ``switch`` steps, and the refiner's with the rest.

    ``refiner``: a base pass of the refiner, with all steps. A pass without steps is left out.
    """
    steps = base.schedule.steps
    if switch == 0:
        return [replace(refiner, kind="refiner")]
    if switch == steps:
        return [base]
    return [
        replace(base, schedule=base.schedule.first_steps(switch)),
        replace(
            refiner,
            kind="refiner",
            schedule=refiner.schedule.last_steps(steps - switch),
            steps_before=switch,
        ),
    ]


def _read_prompts(
    networks: Networks,
    settings: Settings,
    schedule: SigmaSchedule,
    calls_before: int | None = None,
) -> tuple[Script, float | None]:
    """Return the texts of each call and the scale of guidance, which is None without guidance.

    With embeddings of the caller's the texts are not read.
    There is none up to 1, as distilled models need it, nor where the UNet reads the guidance.
    ``calls_before``: of the pass before, if there is one. Raises `SettingsError`.
    """
    if settings.embeddings is not None:
        settings = replace(settings, prompt="", negative="")
    settings = replace(
        settings, prompt=remove_tags(settings.prompt), negative=remove_tags(settings.negative)
    )
    syntax = EMPHASES.find(settings.emphasis).reads_brackets
    calls, guidance = _count_calls(settings, schedule), settings.guidance or 0.0
    prompts = read_script(settings.prompt, None, calls, calls_before, reads_syntax=syntax)
    composed = prompts.weights != (1.0,)
    if networks.embeds_guidance:
        if composed:
            hint = "this model has no guidance for AND, or for a weight at the end"
            raise SettingsError("prompt", settings.prompt, hint)
        return prompts, None
    if not (guidance > 1 or composed or schedule.sampler.splits):
        return prompts, None
    prompts = read_script(
        settings.prompt, settings.negative, calls, calls_before, reads_syntax=syntax
    )
    return prompts, guidance * schedule.sampler.guidance_share


def word_fields(passes: Sequence[Pass]) -> dict[str, str]:
    """Return the field of an infotext with the hashes of the words that the passes have."""
    found = {
        word.name.replace(",", "").replace(":", ""): word.digest
        for each in passes
        for word in each.found_words
        if word.digest
    }
    pairs = ", ".join(f"{name}: {digest}" for name, digest in found.items())
    return {"TI hashes": pairs} if pairs else {}


def _check_guidance(
    networks: Networks, settings: Settings, schedule: SigmaSchedule, prompts: Script
) -> None:
    """Raise `SettingsError` for choices about guidance that the prompt or the model rule out."""
    options = settings.guidance_options
    if prompts.weights != (1.0,) and (
        options.rescale or options.perturbed or options.changes_calls
    ):
        hint = "parts joined by AND, or a weight at the end, do not go with rescaling, PAG or NGMS"
        raise SettingsError("prompt", settings.prompt, hint)
    if options.changes_calls and schedule.sampler.splits:
        hint = f"the sampler {schedule.sampler.name} needs the negative prompt in every call"
        raise SettingsError("ngms", options.skip_below or options.skip_early, hint)
    sag = 0.0 if options.self_attention is None else options.self_attention.scale
    in_middle = {"pag": options.perturbed, "sag": sag}
    name = next((name for name, value in in_middle.items() if value), None)
    if name and networks.folder.unet.mid_block_type != "UNetMidBlock2DCrossAttn":
        hint = "this model has no self-attention in the middle of its UNet"
        raise SettingsError(name, in_middle[name], hint)
    config = networks.folder.unet
    skips = sum(config.layers_per_block) + len(config.block_out_channels)
    if options.cache is not None and options.cache.branch >= skips:
        hint = f"must be below {skips}, the number of this model's skip connections"
        raise SettingsError("deep_cache_branch", options.cache.branch, hint)
    if sag and (settings.controls or prompts.weights != (1.0,)):
        hint = "must not be given with control networks, or parts joined by AND"
        raise SettingsError("sag", sag, hint)


def _words_in(rows: Sequence[Sequence[Chunk]]) -> tuple[LearnedWord, ...]:
    """Return the words from files in the rows of a variant."""
    return tuple(word for chunks in rows for chunk in chunks for _, word in chunk.words)


def _count_calls(settings: Settings, schedule: SigmaSchedule) -> int:
    """Return how many calls a prompt's numbers are shares of, as in the WebUI.

    They are those of all steps asked for, even where only the last of them are made.
    """
    return (settings.steps or 1) * schedule.sampler.calls
