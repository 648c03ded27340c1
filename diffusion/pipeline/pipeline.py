"""From a prompt to pictures: a generator of steps, whose caller owns progress and cancelling."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.checkpoints import ModelFile, open_model, open_vae
from diffusion.checkpoints.bundled import default_settings, named_model
from diffusion.checkpoints.json_files import INDEX_LIMIT, read_json_object
from diffusion.checkpoints.single_file import Prediction
from diffusion.errors import SettingsError
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.graph_cache import GraphCache
from diffusion.pipeline.networks import Networks, load_networks
from diffusion.pipeline.overflow import Watch
from diffusion.pipeline.run import Run
from diffusion.pipeline.vae import Decoded, decode
from diffusion.settings import Defaults, Settings
from diffusion.tasks import Inpaint, Source
from gpucore import Device, DType
from gpustd.matmul.conv import Wrap

__all__ = ["Event", "Pipeline", "Result", "Stage", "Step"]


@dataclass(frozen=True)
class Stage:
    """A phase begins.

    ``encoding prompt``, ``encoding picture``, ``preparing``, ``enlarging`` or ``decoding``.
    """

    name: str


@dataclass(frozen=True)
class Step:
    """A sampler's step is recorded.

    ``index`` counts from 1 to ``total`` over all batches and passes (an adaptive sampler may stop
    before and may go on, ``total`` with it); ``sigma`` is the noise level
    left; ``image_numbers`` are the images being made.
    """

    index: int
    total: int
    sigma: float
    image_numbers: tuple[int, ...]
    _denoised: Latents = field(repr=False)
    _networks: Networks = field(repr=False)
    _watch: Watch = field(repr=False)
    _tiling: str = field(default="auto", repr=False)

    def wait(self) -> None:
        """Block until the device has finished this step.

        Raises `NotFiniteError` where it or one before gave infinities or NaN.
        """
        self._watch.check()

    def preview(self) -> list[Image.Image]:
        """The images as the network sees them now; costs a decoding, by the quick VAE if any.

        Raises `NotFiniteError`.
        """
        decoded = decode(self._networks.for_preview, self._denoised, self._tiling)
        return [each.image for each in decoded]

    def latents(self) -> NDArray[np.float32]:
        """The denoised latents (images, h, w, 4)."""
        return self._denoised.read()


@dataclass(frozen=True)
class Result:
    """The finished images in order, their seeds, and the settings with all defaults filled in.

    ``redone``: of each image the VAE's layer where f16 overflowed and from which on it was decoded
    again in f32; None where all went well.
    """

    images: list[Image.Image]
    seeds: list[int]
    settings: Settings
    redone: list[str | None]

    @classmethod
    def of(cls, decoded: list[Decoded], run: Run, settings: Settings) -> Result:
        """All pictures of a run."""
        images, layers = [each.image for each in decoded], [each.redone for each in decoded]
        return cls(images, [run.seed(i) for i in range(len(images))], settings, layers)


Event = Stage | Step | Result


class Pipeline:
    """A loaded Stable Diffusion model. ``Pipeline.load()`` takes the bundled one."""

    def __init__(self, networks: Networks, defaults: Defaults | None = None) -> None:
        self.networks = networks
        self.defaults = defaults or default_settings(networks.folder)
        self._graph_cache: dict[bool, GraphCache] = {}

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        device: Device | None = None,
        dtype: type[DType] | None = None,
        *,
        vae: str | Path | None = None,
        preview: str | Path | None = None,
        tokenizer: str | Path | None = None,
        prediction: Prediction | None = None,
    ) -> Pipeline:
        """Load a model on a device (the best if None).

        ``model``: a folder in the diffusers layout, a single ``.safetensors`` file, ``owner/name``
        from the cache of downloads, or None for the bundled one.

        ``vae``: a folder or file of another VAE to use in the place of the model's; ``preview``:
        of one for `Step.preview` alone, such as TAESD. ``tokenizer`` and ``prediction``: what a
        single file lacks, see `open_model`.
        Raises `SettingsError` where a folder is given one of those two, `ModelNotFoundError`,
        `ModelFormatError`, `ModelMismatchError`, `gpucore.DeviceNotFoundError`.
        """
        folder = open_model(named_model(model), tokenizer=tokenizer, prediction=prediction)
        for name, given in (("tokenizer", tokenizer), ("prediction", prediction)):
            if given is not None and not isinstance(folder, ModelFile):
                raise SettingsError(name, str(given), "a model's folder has its own; leave it out")
        own, quick = (open_vae(path, folder) if path else None for path in (vae, preview))
        chosen = device or Device.auto(checks=False)
        return cls(load_networks(folder, chosen, dtype, vae=own, preview=quick))

    @property
    def device(self) -> Device:
        """Where the model runs."""
        return self.networks.device

    @property
    def model_name(self) -> str:
        """Name of the model's folder."""
        return self.networks.folder.name

    @functools.cached_property
    def model_hash(self) -> str:
        """First ten hexadecimal digits of the SHA-256 of the UNet's weights."""
        return short_hash(self.networks.folder.weights("unet").path)

    @functools.cached_property
    def vae_hash(self) -> str:
        """The same of the VAE's."""
        return short_hash(self.networks.autoencoder.source.weights.path)

    def generate(self, settings: Settings) -> Iterator[Event]:
        """Make pictures, yielding stages, steps and at last the `Result`; closing it cancels.

        Raises `SettingsError` before any work; `NotFiniteError` where the model computes infinities
        or NaN, so that no picture could be made.
        """
        full = settings.filled(self.defaults)
        run = self.run(full)
        yield Stage("encoding prompt")
        run.conditioning(run.first)
        done, images = 0, list[Decoded]()
        for numbers in run.batches():
            if run.canvas:
                yield Stage("encoding picture")
            start = run.begin(numbers)
            for chosen in filter(None, (run.first, run.second)):
                yield Stage("preparing")
                watch = run.watch(chosen)
                behind = run.networks, watch, full.vae_tiling
                with closing(run.steps(chosen, start, watch)) as steps:
                    for step in steps:
                        done += 1
                        total = max(run.total, done)
                        yield Step(done, total, step.sigma, numbers, step.denoised, *behind)
                if run.second and chosen is run.first:
                    watch.check()
                    yield Stage("enlarging")
                    start = run.enlarged(step.x, numbers)
            yield Stage("decoding")
            decoding = decode(run.networks, step.x, full.vae_tiling)
            watch.check()
            for drawn, layer in decoding:
                images.append(Decoded(run.canvas.finished(drawn) if run.canvas else drawn, layer))
        yield Result.of(images, run, full)

    def draw(self, settings: Settings) -> list[Image.Image]:
        """The pictures of `generate`, without progress. Raises `SettingsError`."""
        for event in self.generate(settings):
            if isinstance(event, Result):
                return event.images
        raise AssertionError("generate ends with a Result")

    def txt2img(
        self,
        prompt: str,
        *,
        negative: str = "",
        size: tuple[int, int] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: str | None = None,
        seed: int = 0,
    ) -> Image.Image:
        """One picture from text; see `Settings` for all that can be chosen."""
        width, height = size or (None, None)
        settings = Settings(prompt, negative, width, height, steps, guidance, sampler, seed=seed)
        return self.draw(settings)[0]

    def img2img(
        self,
        image: Image.Image,
        prompt: str,
        *,
        strength: float = 0.75,
        negative: str = "",
        steps: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
    ) -> Image.Image:
        """One picture that starts from another; see `Source` for all that can be chosen."""
        source = Source(image, strength)
        settings = Settings(
            prompt, negative, steps=steps, guidance=guidance, seed=seed, source=source
        )
        return self.draw(settings)[0]

    def inpaint(
        self,
        image: Image.Image,
        mask: Image.Image,
        prompt: str,
        *,
        strength: float = 0.75,
        negative: str = "",
        steps: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
    ) -> Image.Image:
        """One picture, drawn anew where ``mask`` is white; see `Inpaint` for more choices."""
        source = Source(image, strength, "pad", inpaint=Inpaint(mask))
        settings = Settings(
            prompt, negative, steps=steps, guidance=guidance, seed=seed, source=source
        )
        return self.draw(settings)[0]

    def decode(
        self, latents: Latents, vae_tiling: str = "auto", seamless: Wrap = ""
    ) -> list[Image.Image]:
        """Pictures of latents (B, h, w, 4) in the UNet's scale, one at a time to spare memory.

        Raises `NotFiniteError`.
        """
        networks = replace(self.networks, seamless=seamless)
        return [each.image for each in decode(networks, latents, vae_tiling)]

    def release(self) -> None:
        """Give back what is kept for the next run: captured graphs and text embeddings.

        Call it after weights are written anew: a prompt's keys are made of them and kept, too.
        """
        for graph_cache in self._graph_cache.values():
            graph_cache.forget()
        self.networks.release()

    def run(self, full: Settings) -> Run:
        """What checked and filled settings come to on this model. Raises `SettingsError`."""
        networks = self.networks
        if full.zero_snr:
            networks = replace(networks, noise=networks.noise.with_zero_snr())
        if full.zero_snr not in self._graph_cache:
            self._graph_cache[full.zero_snr] = GraphCache(networks)
        return Run(networks, self._graph_cache[full.zero_snr], full)


def short_hash(path: Path) -> str:
    """First ten hexadecimal digits of a file's SHA-256; of an index, of its files' in turn."""
    digest = hashlib.sha256()
    files = [path]
    if path.suffix == ".json":
        places = read_json_object(path, limit=INDEX_LIMIT)["weight_map"]
        assert isinstance(places, dict)
        files = [path.parent / name for name in sorted(set(map(str, places.values())))]
    for each in files:
        with each.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()[:10]
