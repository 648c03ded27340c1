"""From a prompt to pictures: a generator of steps, whose caller owns progress and cancelling."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image

from diffusion.checkpoints import ModelFile, open_model, open_vae
from diffusion.checkpoints.bundled import default_settings, named_model
from diffusion.checkpoints.json_files import INDEX_LIMIT, read_json_object
from diffusion.checkpoints.single_file import Prediction
from diffusion.errors import SettingsError
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.events import Event, Result
from diffusion.pipeline.loading import load_networks
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.passes import Pass, base_pass, hires_pass
from diffusion.pipeline.run import Run
from diffusion.pipeline.run_cache import RunCache
from diffusion.pipeline.vae import decode
from diffusion.settings import Defaults, Settings
from diffusion.tasks import InitImage, Inpaint
from gpucore import Device, DType
from gpustd.matmul.conv import Wrap

__all__ = ["Pipeline"]


class Pipeline:
    """A loaded Stable Diffusion model. ``Pipeline.load()`` takes the bundled one."""

    def __init__(self, networks: Networks, defaults: Defaults | None = None) -> None:
        self.networks = networks
        self.defaults = defaults or default_settings(networks.folder)
        self.cache = RunCache()

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

        ``vae``: the folder or file of a VAE to use in place of the model's own. ``preview``: of
        one for `Step.preview` alone, such as TAESD. ``tokenizer`` and ``prediction``: these are
        missing in a single file; see `open_model`.
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
        """The device that the model runs on."""
        return self.networks.device

    @property
    def model_name(self) -> str:
        """The name of the model's folder."""
        return self.networks.folder.name

    @functools.cached_property
    def model_hash(self) -> str:
        """The first ten hexadecimal digits of the SHA-256 of the UNet's weights."""
        return short_hash(self.networks.folder.weights("unet").path)

    @functools.cached_property
    def vae_hash(self) -> str:
        """The first ten hexadecimal digits of the SHA-256 of the VAE's weights."""
        return short_hash(self.networks.autoencoder.source.weights.path)

    def passes(self, complete: Settings) -> list[Pass]:
        """Return the passes of complete settings on this model. Raises `SettingsError`."""
        base = base_pass(self.networks, self.cache, complete)
        return [base, hires_pass(base, complete.hires)] if complete.hires else [base]

    def generate(self, settings: Settings) -> Iterator[Event]:
        """Make pictures, yielding stages, steps and at last the `Result`; closing it cancels.

        Raises `SettingsError` before any work, and `NotFiniteError` where the model computes
        infinities or NaN, so that no picture can be made.
        """
        complete = settings.with_defaults(self.defaults)
        yield from Run(self.passes(complete)).events()

    def draw(self, settings: Settings) -> list[Image.Image]:
        """Return the pictures of `generate`, without progress. Raises `SettingsError`."""
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
        """Draw one picture from text; see `Settings` for all that can be chosen."""
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
        """Draw one picture that starts from another; see `InitImage` for more choices."""
        init_image = InitImage(image, strength)
        settings = Settings(
            prompt, negative, steps=steps, guidance=guidance, seed=seed, init_image=init_image
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
        """Draw a picture anew where ``mask`` is white; see `Inpaint` for more choices."""
        init_image = InitImage(image, strength, "pad", inpaint=Inpaint(mask))
        settings = Settings(
            prompt, negative, steps=steps, guidance=guidance, seed=seed, init_image=init_image
        )
        return self.draw(settings)[0]

    def decode(
        self, latents: Latents, vae_tiling: str = "auto", seamless: Wrap = ""
    ) -> list[Image.Image]:
        """Decode latents (B, h, w, C) in the UNet's scale, one at a time to spare memory.

        Raises `NotFiniteError`.
        """
        networks = replace(self.networks, seamless=seamless)
        return [each.image for each in decode(networks, latents, vae_tiling)]

    def release(self) -> None:
        """Give back what is kept for the next run: captured graphs and text embeddings.

        Call it after weights are changed, too: a prompt's keys are computed from them and kept.
        """
        self.cache.release()
        self.networks.release()


def short_hash(path: Path) -> str:
    """Return ten hexadecimal digits of a file's SHA-256; for an index, of all files it names."""
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
