"""From a prompt to pictures: a generator of steps, whose caller owns progress and cancelling."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.adapters import NO_LORAS, LoraFolder
from diffusion.checkpoints import open_model, open_vae
from diffusion.checkpoints.bundled import (
    bundled_controls,
    bundled_loras,
    default_settings,
    named_model,
)
from diffusion.checkpoints.hashing import short_weights_hash
from diffusion.checkpoints.quick_preview import find_preview
from diffusion.checkpoints.single_file import Prediction
from diffusion.checks import check_side
from diffusion.control import NO_CONTROLS, ControlFolder
from diffusion.errors import SettingsError
from diffusion.images import to_pixels, to_rgb
from diffusion.infotext.from_settings import infotext_from_settings, other_networks_fields
from diffusion.memory import EVERYTHING, Budget, Placement
from diffusion.pipeline.arguments import (
    PictureLike,
    as_image,
    open_device,
    read_dtype,
    read_weights,
)
from diffusion.pipeline.calls import Reading, WithCalls
from diffusion.pipeline.control import ControlledModel, LoadedControls
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.events import Event, Result, Step
from diffusion.pipeline.image_prompts import LoadedImagePrompts
from diffusion.pipeline.loading import load_autoencoder, load_networks, reload_networks
from diffusion.pipeline.lora import LoraMode, Loras
from diffusion.pipeline.memory import (
    MemoryBudget,
    PlacedModel,
    RunKey,
    load_within,
    sizes_of,
    with_tiles,
)
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.passes import (
    Pass,
    base_pass,
    hires_pass,
    with_controls,
    with_image_prompts,
    word_fields,
)
from diffusion.pipeline.picture import Picture, PictureMethods
from diffusion.pipeline.run import Run
from diffusion.pipeline.run_cache import RunCache
from diffusion.pipeline.run_queue import queue_of
from diffusion.pipeline.vae import decode, moments
from diffusion.prompts import EMPHASES, WordTable
from diffusion.release import version
from diffusion.settings import Defaults, Settings
from diffusion.text.inversions import NO_INVERSIONS, InversionFolder, InversionWords
from diffusion.text.prompt_embeddings import PromptEmbeddings
from diffusion.upscaling import NO_UPSCALERS, LoadedUpscalers
from gpucore import Device, DType, f32
from gpustd.matmul.conv import Wrap

__all__ = ["Pipeline"]


class Pipeline(PictureMethods, PlacedModel):
    """A loaded Stable Diffusion model. ``Pipeline.load()`` takes the bundled one.

    Several threads may use one, or several on one device. Pictures are drawn one by one, in no
    certain order, with the bits that a single thread draws. A generator of `generate` that is left
    half-way keeps other threads waiting until it is closed. Ctrl-C ends the wait. Do not call a
    pipeline while you hold ``device.lock``.
    """

    def __init__(
        self,
        networks: Networks,
        defaults: Defaults | None = None,
        loras: LoraFolder = NO_LORAS,
        embeddings: InversionFolder = NO_INVERSIONS,
        controls: ControlFolder = NO_CONTROLS,
        lora_mode: LoraMode = "auto",
    ) -> None:
        self.networks = networks
        self.defaults = defaults or default_settings(networks.folder)
        self.cache = RunCache()
        self.loras = Loras(networks, self.cache, loras, lora_mode)
        widths: dict[str, int] = {
            part: config.hidden_size for part, config in networks.folder.text_encoders.items()
        }
        self.inversions = InversionWords(networks.tokenizer, widths, embeddings)
        model = ControlledModel(networks.folder, networks.device, networks.dtype)
        self.controls = LoadedControls(model, controls, self.cache.denoisers.release)
        self.image_prompts = LoadedImagePrompts(networks, self.cache.denoisers.release)
        self.upscalers = LoadedUpscalers(networks.device, networks.dtype, NO_UPSCALERS)
        self.memory = MemoryBudget()
        self._owns_device = False
        self._separate_vae: str | None = None
        self._chosen_dtype: str | None = None

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        device: Device | str | None = None,
        dtype: type[DType] | str | None = None,
        *,
        vae: str | Path | None = None,
        preview: str | Path | None = None,
        tokenizer: str | Path | None = None,
        prediction: Prediction | None = None,
        unet: str | Path | None = None,
        loras: str | Path | None = None,
        embeddings: str | Path | None = None,
        weights: str | None = None,
        vram: int | str | Budget | None = None,
    ) -> Pipeline:
        """Load a model on a device: the best if None, or one by its name, such as ``cpu``.

        ``model``: a folder in the diffusers layout, a single ``.safetensors`` or ``.gguf`` file,
        ``owner/name`` from the cache of downloads, or None for the bundled one.

        ``vae``: the folder or file of a VAE to use in place of the model's own. ``unet``: the file
        of a UNet, likewise. ``preview``: a VAE for `Step.preview` alone, such as TAESD, or a name
        in `PREVIEW_METHODS`.
        ``dtype``: ``f16`` or ``f32``, as marker or name. ``tokenizer`` and ``prediction``: these
        are missing in a single file; see `open_model`. ``loras``: the folder of the LoRAs that
        prompts name. ``embeddings``: that of the textual inversions. ``weights``: a block format of
        `WEIGHT_NAMES`, such as ``q8_0``, that the networks' weights are kept in.
        ``vram``: the most memory that the device gives, in bytes or as "4G"; see docs/memory.md.
        Raises `SettingsError` where a folder is given one of those two, `ModelNotFoundError`,
        `ModelFormatError`, `ModelMismatchError`, `gpucore.DeviceNotFoundError`.
        """
        folder = open_model(
            named_model(model), tokenizer=tokenizer, prediction=prediction, unet=unet
        )
        own, quick = open_vae(vae, folder) if vae else None, find_preview(preview, folder)
        marker = read_dtype(dtype)
        chosen = open_device(device)
        names = LoraFolder(bundled_loras(model) if loras is None else Path(loras))
        words = NO_INVERSIONS if embeddings is None else InversionFolder(Path(embeddings))
        controls, kept = ControlFolder(bundled_controls(model)), read_weights(weights)

        def load_on(place: Device, placement: Placement) -> Pipeline:
            networks = load_networks(folder, place, marker, own, quick.vae, placement, kept)
            networks = replace(networks, colours=quick.colours)
            return cls(networks, loras=names, embeddings=words, controls=controls)

        pipeline = load_within(load_on, chosen, Budget.of(vram))
        pipeline._owns_device = chosen is not device
        pipeline._separate_vae = None if vae is None else Path(vae).name
        pipeline._chosen_dtype = None if marker is None else marker.__name__
        return pipeline

    def with_vae(self, vae: str | Path) -> Pipeline:
        """Return this model with another VAE, given as to `load`; all else is shared.

        Close this one last. Raises as `load`.
        """
        source = open_vae(vae, self.networks.folder)
        other = copy.copy(self)
        other.__dict__.pop("vae_hash", None)
        other.networks = replace(self.networks, autoencoder=load_autoencoder(source, self.networks))
        other._owns_device, other._separate_vae = False, Path(vae).name
        return other

    @property
    def model_name(self) -> str:
        """The name of the model's folder."""
        return self.networks.folder.name

    @functools.cached_property
    def model_hash(self) -> str:
        """The first ten hexadecimal digits of the SHA-256 of the UNet's weights."""
        return short_weights_hash(self.networks.folder.weights("unet").path)

    @functools.cached_property
    def vae_hash(self) -> str:
        """The first ten hexadecimal digits of the SHA-256 of the VAE's weights."""
        return short_weights_hash(self.networks.autoencoder.source.weights.path)

    @property
    def provenance(self) -> dict[str, dict[str, str]]:
        """Names and hashes of the ``model``, and of a ``vae`` of its own, for infotext."""
        found = {"model": {"name": self.model_name, "hash": self.model_hash}}
        if self._chosen_dtype is not None:
            found["model"]["dtype"] = self._chosen_dtype
        if self.networks.weights is not None:
            found["model"]["weights"] = self.networks.weights
        if self._separate_vae is not None:
            found["vae"] = {"name": self._separate_vae, "hash": self.vae_hash}
        return found

    def passes(self, complete: Settings) -> list[Pass]:
        """Return the passes of complete settings on this model. Raises `SettingsError`."""
        complete = self.upscalers.with_larger_init_image(complete)
        base = base_pass(self.networks, self.cache, complete, self._words(complete))
        hires = complete.hires
        passes = [base, hires_pass(base, hires, self.upscalers.of(hires))] if hires else [base]
        if hires is not None and hires.first is not None:
            passes = passes[1:]  # the first one was drawn before
        loaded = self.controls.load(complete.controls)
        passes = [with_controls(each, loaded, self.controls.model) for each in passes]
        adapters = self.image_prompts.load(complete.image_prompts, self.controls.folder)
        return [with_image_prompts(each, adapters) for each in passes]

    def passes_with_loras(self, complete: Settings) -> list[Pass]:
        """Return the passes with the adapters beside the layers. Raises `ModelError` for files."""
        beside = self.loras.beside(complete)
        return [replace(each, loras=beside) for each in self.passes(complete)]

    def _words(self, complete: Settings) -> WordTable:
        """Return the words that prompts may have and whose embeddings come from files."""
        return self.inversions.table(complete.inversions, self.loras.files(complete))

    def adapter_fields(self, complete: Settings) -> dict[str, str]:
        """Return the fields of an infotext about LoRAs, learned words and control networks."""
        fields = self.loras.fields(complete) | self.controls.fields(complete.controls)
        fields |= self.image_prompts.fields(
            complete.image_prompts, self.controls.folder, len(complete.controls)
        )
        if not self._words(complete):
            return fields
        plain = replace(complete, init_image=None, controls=(), image_prompts=())
        return fields | word_fields(self.passes(plain))

    def generate(self, settings: Settings) -> Generator[Event]:
        """Make pictures, yielding stages, steps and at last the `Result`; closing it cancels.

        Where another thread is drawing on the device, it waits until that is done or closed.

        Raises `SettingsError` before any work, and `NotFiniteError` where the model computes
        infinities or NaN, so that no picture can be made.
        """
        complete = settings.with_defaults(self.defaults)
        yield from self.memory.events(self, complete, lambda: self._events(complete))

    def _events(self, complete: Settings) -> Generator[Event]:
        run = self._begin(complete)
        make = partial(self.loras.events, run.settings, run.passes, run.events)
        yield from queue_of(self.device).events(make)

    def events_and_calls(self, settings: Settings) -> WithCalls[Event | Reading]:
        """Make pictures as `generate` does, with calls of the UNet that the caller answers.

        So one caller can make the calls of several runs together, as `diffusion.batching` does; the
        runs of one thread may alternate. Raises as `generate`.
        """
        complete = settings.with_defaults(self.defaults)
        yield from self.memory.events(self, complete, lambda: self._events_and_calls(complete))

    def _events_and_calls(self, complete: Settings) -> WithCalls[Event | Reading]:
        run = self._begin(complete)
        make = partial(self.loras.events, run.settings, run.passes, run.events_and_calls)
        yield from queue_of(self.device).events(make)

    def _begin(self, complete: Settings) -> Run:
        """Return the run of complete settings. Raises `SettingsError`."""
        placement = self.networks.placement
        with queue_of(self.device).turn, placement.around("control"):
            tiled = with_tiles(complete, placement)
            passes = self.passes_with_loras(tiled)
            return Run(passes, reads_loras=bool(self.loras.folder), settings=tiled)

    def images(
        self, settings: Settings, on_step: Callable[[Step], None] | None = None
    ) -> Iterator[Picture]:
        """Yield the pictures one by one, as soon as their batch is finished.

        Closing it, or an error, keeps those that were yielded. ``on_step`` is called after each
        step; it may read a preview, write other latents, or raise an error to stop.
        Raises `SettingsError` before any work.
        """
        for part in self.parts(settings):
            result: Result | None = None
            with closing(self.generate(part)) as events:
                for event in events:
                    if isinstance(event, Step) and on_step is not None:
                        on_step(event)
                    if isinstance(event, Result):
                        result = event
            assert result is not None
            yield from self.pictures(result)  # other threads may draw meanwhile

    def parts(self, settings: Settings) -> list[Settings]:
        """Return complete settings for each batch of pictures. Raises `SettingsError`."""
        complete = settings.with_defaults(self.defaults)
        size, count = complete.batch or 1, complete.count
        return [complete.part(first, min(size, count - first)) for first in range(0, count, size)]

    def adapters_of(self, settings: Settings) -> Hashable:
        """Return the LoRAs and control networks of settings.

        Runs with others cannot be under way together. Raises `SettingsError` for names that are not
        found.
        """
        merging = self.loras.merging(settings.with_defaults(self.defaults))
        adapters = self.image_prompts.keys(settings.image_prompts, self.controls.folder)
        return merging, self.controls.keys(settings.controls), adapters

    def pictures(self, result: Result) -> Iterator[Picture]:
        """Yield the pictures of a batch, with the settings that draw each again."""
        for number, image in enumerate(result.images):
            settings = result.settings
            text = partial(self._infotext, settings, number)
            yield Picture.of(image, settings.part(number, 1), result.seeds[number], text)

    def _infotext(self, settings: Settings, number: int) -> str:
        model = self.provenance["model"]
        more = other_networks_fields(self.provenance, None) | self.adapter_fields(settings)
        return infotext_from_settings(
            settings, number, model["name"], model["hash"], f"Avila {version()}", more
        )

    def embed(
        self, prompt: str, negative: str = "", *, clip_skip: int = 1, emphasis: str = "original"
    ) -> PromptEmbeddings:
        """Return the embeddings of two prompts as f32 arrays, for `Settings.embeddings`.

        Raises `SettingsError` for a prompt that changes over the steps or has several parts.
        """
        settings = Settings(prompt, negative, emphasis=emphasis, clip_skip=clip_skip, guidance=2.0)
        with queue_of(self.device).turn:
            return self._embed(settings.with_defaults(self.defaults))

    def _embed(self, complete: Settings) -> PromptEmbeddings:
        base = self.passes_with_loras(complete)[0]
        if len(base.prompts.variants) > 1 or len(base.prompts.weights) > 1:
            hint = "one embedding cannot hold a prompt that changes, or parts joined by AND"
            raise SettingsError("prompt", complete.prompt, hint)
        found, skipped = EMPHASES.find(complete.emphasis), complete.clip_skip - 1
        beside = nullcontext() if base.loras is None else base.loras.encoding()
        with self.loras.use(complete, [base]), beside:
            context, pooled = self.networks.encode_texts(base.chunks[0], found, skipped)
            return PromptEmbeddings.from_rows(
                context.read().astype(np.float32),
                None if pooled is None else pooled.read().astype(np.float32),
            )

    def encode(self, image: PictureLike) -> NDArray[np.float32]:
        """Return the latents (1, h, w, C) of a picture, in the UNet's scale: the means.

        Its sides must be multiples of 8. Raises `SettingsError`.
        """
        picture = to_rgb(as_image(image))
        for name, side in zip(("width", "height"), picture.size, strict=True):
            check_side(name, side)
        with queue_of(self.device).turn:
            found = moments(self.networks, to_pixels(picture))
        means = np.split(found, 2, axis=-1)[0]
        return means[None] * np.float32(self.networks.vae_config.scaling_factor)

    def decode(
        self,
        latents: Latents | NDArray[np.floating],
        vae_tiling: str = "auto",
        seamless: Wrap = "",
    ) -> list[Image.Image]:
        """Decode latents (B, h, w, C) in the UNet's scale, one at a time to spare memory.

        Raises `NotFiniteError`.
        """
        networks = replace(self.networks, seamless=seamless)
        tiling = networks.placement.tiling(vae_tiling)
        if isinstance(latents, np.ndarray):
            latents = self.device.buffer_from_array(latents, f32)
        with queue_of(self.device).turn:
            return [each.image for each in decode(networks, latents, tiling)]

    def twin(self, device: Device, placement: Placement = EVERYTHING) -> Self:
        """Load the same model, with the same folders of other networks, on another device."""
        networks = reload_networks(self.networks, device, placement)
        folders = self.loras.folder, self.inversions.folder, self.controls.folder
        made = type(self)(networks, self.defaults, *folders, self.loras.mode)
        made.upscalers.folder = self.upscalers.folder
        made._separate_vae, made._chosen_dtype = self._separate_vae, self._chosen_dtype
        return made

    def memory_key(self, complete: Settings) -> RunKey:
        """Return what the memory of a run depends on. Raises as `generate`."""
        hires = complete.hires and replace(complete.hires, upscaler="latent", first=None)
        plain = replace(complete, init_image=None, controls=(), image_prompts=(), hires=hires)
        passes = self.passes_with_loras(plain)
        orders = tuple(p.prompts.order for p in passes)
        texts = tuple((len(p.chunks), len(p.chunks[0]), len(p.chunks[0][0])) for p in passes)
        beside = tuple(None if p.loras is None else p.loras.chosen for p in passes)
        rest = sizes_of(complete), texts, beside, self.loras.merging(complete)
        return RunKey((complete.steps, orders), rest)

    def release(self) -> None:
        """Give back what is kept for the next run: captured graphs, control networks, embeddings.

        Call it after weights are changed, too: a prompt's keys are computed from them and kept.
        """
        with queue_of(self.device).turn:
            self.cache.release()
            self.controls.release()
            self.image_prompts.release()
            self.upscalers.release()
            self.networks.release()
            self.loras.release()

    def close(self) -> None:
        """Give back all that it keeps, and close the device if `load` opened it."""
        self.release()
        if self._owns_device:
            self.device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        dtype = self.networks.dtype.__name__
        return f"Pipeline({self.model_name!r}, {dtype}, {self.device!r})"
