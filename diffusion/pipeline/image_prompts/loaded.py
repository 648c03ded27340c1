"""The IP-Adapters of a pipeline: found by name, loaded once, given back when others come."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Sequence
from pathlib import Path
from typing import Final

from diffusion.checkpoints.control import find_file, short_hash
from diffusion.checkpoints.image_prompts import (
    SeparateImageEncoder,
    SeparateIpAdapter,
    find_image_encoder,
    open_image_encoder,
    open_ip_adapter,
)
from diffusion.checkpoints.weights import Weights
from diffusion.control import ControlFolder, ImagePrompt
from diffusion.errors import ModelFormatError
from diffusion.infotext.image_prompts import image_prompt_text
from diffusion.models.image_prompts import ClipVisionModel, IpAdapter, cross_places
from diffusion.models.module import Module, load
from diffusion.pipeline.control import file_key
from diffusion.pipeline.image_prompts.adapter import LoadedAdapter, LoadedEncoder
from diffusion.pipeline.networks import Networks

__all__ = ["LoadedImagePrompts"]

_ENCODER: Final = re.compile(r"clip|image_encoder|vit", re.IGNORECASE)
"""Names of networks in a folder that are looked at as encoders."""


class LoadedImagePrompts:
    """The IP-Adapters that a model is drawn with, and the image encoders that they read.

    ``forget``: drop what was captured with adapters that are given back. Names are found in the
    folder of control networks.
    """

    def __init__(self, networks: Networks, forget: Callable[[], None]) -> None:
        self._networks = networks
        self._forget = forget
        self._loaded: dict[Hashable, LoadedAdapter] = {}
        self._hashes: dict[Hashable, str] = {}
        self._bytes: dict[Hashable, int] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the adapters in memory, and of their encoders."""
        return sum(self._bytes[key] for key in self._loaded)

    def weight_modules(self) -> dict[str, Module]:
        """Return the networks in memory by their names."""
        found: dict[str, Module] = {}
        for each in self._loaded.values():
            found[f"image prompt {each.name}"] = each.network
            found["image encoder"] = each.encoder.network
        return found

    def load(
        self, prompts: Sequence[ImagePrompt], folder: ControlFolder
    ) -> list[tuple[ImagePrompt, LoadedAdapter]]:
        """Return image prompts with their adapters, which stay for the next run.

        Adapters that these do not name are given back first, unless there are no prompts.
        Raises `SettingsError` for names that are not found, `ModelError` for files.
        """
        keys = [_key(each, folder) for each in prompts]
        if keys and any(key not in keys for key in self._loaded):
            self.release(keep=keys)
        found = []
        for prompt, key in zip(prompts, keys, strict=True):
            if key not in self._loaded:
                before = self._networks.device.memory.live
                self._loaded[key] = self._open(prompt, key, folder)
                self._bytes[key] = self._networks.device.memory.live - before
            found.append((prompt, self._loaded[key]))
        return found

    def keys(self, prompts: Sequence[ImagePrompt], folder: ControlFolder) -> frozenset[Hashable]:
        """Return which adapters and encoders prompts name. Raises `SettingsError`."""
        return frozenset(_key(each, folder) for each in prompts)

    def fields(
        self, prompts: Sequence[ImagePrompt], folder: ControlFolder, first: int
    ) -> dict[str, str]:
        """Return the fields of an infotext about image prompts, numbered from ``first`` on."""
        texts = {}
        for number, prompt in enumerate(prompts, first):
            path = folder.find_adapter(prompt.model)
            key = file_key(path)
            if key not in self._hashes:
                self._hashes[key] = short_hash(find_file(path))
            texts[f"ControlNet {number}"] = image_prompt_text(prompt, path.stem, self._hashes[key])
        return texts

    def release(self, keep: Collection[Hashable] = ()) -> None:
        """Give back all adapters but those of ``keep``, and the graphs that were captured."""
        if self._loaded:
            self._forget()
            self._loaded = {key: each for key, each in self._loaded.items() if key in keep}

    def _open(self, prompt: ImagePrompt, key: Hashable, folder: ControlFolder) -> LoadedAdapter:
        """Check the weights of an adapter and its encoder, then upload them."""
        networks, path = self._networks, folder.find_adapter(prompt.model)
        places = cross_places(networks.unet)
        context = networks.folder.unet.cross_attention_dim
        opened = open_ip_adapter(path, [each.width for each in places], context)
        separate = _open_encoder(prompt, path, opened, folder)
        adapter = IpAdapter(opened.config)
        _check(adapter, opened.weights)
        encoder = self._encoder(separate)
        self._upload(adapter, opened.weights)
        return LoadedAdapter(
            key,
            path.stem,
            opened.config,
            adapter,
            encoder,
            places,
            networks.device,
            networks.dtype,
        )

    def _encoder(self, separate: SeparateImageEncoder) -> LoadedEncoder:
        """Return a loaded encoder, shared by all adapters that read it."""
        key = file_key(separate.weights.path)
        for adapter in self._loaded.values():
            if adapter.encoder.key == key:
                return adapter.encoder
        network = ClipVisionModel(separate.config)
        _check(network, separate.weights)
        self._upload(network, separate.weights)
        return LoadedEncoder(key, separate.config, network)

    def _upload(self, network: Module, weights: Weights) -> None:
        device = self._networks.device
        with device.region("loading"):
            load(network, weights.read, device, self._networks.dtype)
        device.trim()


def _check(network: Module, weights: Weights) -> None:
    """Raise ``ModelMismatchError`` unless a file holds a network's weights."""
    weights.check({name: each.shape for name, each in network.parameters()})


def _key(prompt: ImagePrompt, folder: ControlFolder) -> Hashable:
    encoder = None if prompt.encoder is None else file_key(folder.find_encoder(prompt.encoder))
    return file_key(folder.find_adapter(prompt.model)), encoder


def _open_encoder(
    prompt: ImagePrompt, path: Path, adapter: SeparateIpAdapter, folder: ControlFolder
) -> SeparateImageEncoder:
    """Open the encoder that a prompt names, or one that fits. Raises `ModelError`."""
    if prompt.encoder is None:
        others = [folder.find(name) for name in folder.names if _ENCODER.search(name)]
        return find_image_encoder(path, adapter.config, others)
    found = open_image_encoder(folder.find_encoder(prompt.encoder))
    if not found.fits(adapter.config):
        width = (
            found.config.hidden_size if adapter.config.reads_states else found.config.projection_dim
        )
        reason = f"must be {adapter.config.inputs} wide for {path.name}, got {width}"
        hint = "give the image encoder that the adapter was trained with"
        raise ModelFormatError(found.weights.path, "image encoder", reason, hint)
    return found
