"""`ControlUnit`: one control of a pass, with its network and what that reads."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.control import ControlConfig
from diffusion.control.choice import KINDS, PASSES, Control
from diffusion.control.hints import make_map, make_region, map_pixels
from diffusion.control.preprocessors import find_preprocessor
from diffusion.control.strengths import Strengths, strengths_of
from diffusion.errors import SettingsError
from diffusion.images import to_rgb
from diffusion.models.control_config import AdapterConfig, ControlNetConfig
from diffusion.models.controlnet import ControlNet
from diffusion.models.lite import ControlLite, LiteConfig
from diffusion.models.t2i_adapter import T2IAdapter, unshuffle
from diffusion.models.xs import ControlXs, XsConfig
from diffusion.tasks.guidance import GuidanceOptions
from diffusion.tasks.init_image import PreparedImage
from diffusion.tasks.resizing import fit_image
from gpucore import Device, DType

__all__ = [
    "ControlNetwork",
    "ControlUnit",
    "ControlledModel",
    "crop_control",
    "crop_picture",
    "make_network",
    "require_whole_tokens",
    "units_of",
]

ControlModule = ControlNet | T2IAdapter | ControlLite | ControlXs
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class ControlledModel:
    """The model that is led: its folder, and where and in which type it is computed."""

    folder: ModelFolder
    device: Device
    dtype: type[DType]


def make_network(config: ControlConfig) -> ControlModule:
    """Return the network of a config, without its weights."""
    if isinstance(config, ControlNetConfig):
        return ControlNet(config)
    if isinstance(config, XsConfig):
        return ControlXs(config)
    return ControlLite(config) if isinstance(config, LiteConfig) else T2IAdapter(config)


@dataclass(frozen=True)
class ControlNetwork:
    """A loaded control network. ``key``: which file it is of; ``name``: that file's."""

    key: Hashable
    name: str
    config: ControlConfig
    network: ControlModule

    @property
    def layers(self) -> int:
        """The number of layers that it adds to."""
        if isinstance(self.network, ControlNet):
            return len(self.network.controlnet_down_blocks) + 1
        if isinstance(self.network, ControlXs):
            return self.network.layers
        if isinstance(self.config, LiteConfig):
            return len(self.config.transformers)
        assert isinstance(self.config, AdapterConfig)
        return len(self.config.outputs)


@dataclass(frozen=True, eq=False)
class ControlUnit:
    """A control at the size of a pass. ``source``: its picture; ``mask``: what is drawn anew."""

    control: Control
    loaded: ControlNetwork
    model: ControlledModel
    size: tuple[int, int]
    source: Image.Image
    mask: Image.Image | None

    @property
    def key(self) -> Hashable:
        """All that a captured denoiser depends on."""
        return self.loaded.key, self.kind, self.by_part, self.control.region is not None

    @property
    def by_part(self) -> bool:
        """Tell whether the negative prompt has factors of its own."""
        return self.strengths.prompt != self.strengths.negative

    @property
    def reads_tokens(self) -> bool:
        """Tell whether it changes what attentions read, token by token."""
        return isinstance(self.loaded.config, LiteConfig)

    @cached_property
    def strengths(self) -> Strengths:
        """The factors of its layers. Raises `SettingsError`."""
        config = self.loaded.config
        return strengths_of(
            self.control,
            self.loaded.layers,
            adapter=isinstance(config, AdapterConfig),
            lite=isinstance(config, LiteConfig),
            pools=isinstance(config, ControlNetConfig) and config.pools,
        )

    @cached_property
    def kind(self) -> int | None:
        """The number of a union's kind of picture. Raises `SettingsError` where it is not known."""
        config = self.loaded.config
        types = config.types if isinstance(config, ControlNetConfig) else 0
        if not types:
            return None
        name = self.control.kind or find_preprocessor(self.control.preprocessor).kind
        if name is None:
            hint = f"{self.loaded.name} is a union; say what the picture shows (--control-kind)"
            raise SettingsError("control kind", None, hint)
        number = KINDS.names.index(KINDS.find(name).name)
        if number >= types:
            hint = f"must be one of {', '.join(KINDS.names[:types])} for {self.loaded.name}"
            raise SettingsError("control kind", name, hint)
        return number

    @cached_property
    def map(self) -> Image.Image:
        """The map that the network reads, before a mask marks it."""
        return make_map(self.model.device, self.control, self.source, self.size)

    @property
    def region(self) -> NDArray[np.float32] | None:
        """Where it counts, (H, W) in 0..1; None for everywhere."""
        return make_region(self.control.region, self.control.resize, self.size)

    def pixels(self) -> NDArray[Any]:
        """Return what the network reads: (1, H, W, 3), or an adapter's blocks of pixels.

        Colours are in 0..1, those of a ControlNet-LLLite in -1..1.
        """
        pixels = map_pixels(self.control, self.map, self.mask)
        config = self.loaded.config
        if isinstance(config, ControlNetConfig | XsConfig):
            return np.ascontiguousarray(pixels[..., ::-1]) if config.swaps_colours else pixels
        if isinstance(config, LiteConfig):
            return pixels * np.float32(2) - np.float32(1)
        if config.inputs == 1:
            pixels = pixels @ _LUMA[:, None]
        return np.ascontiguousarray(unshuffle(_pad(pixels, config.downscale), config.downscale))


def _pad(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Continue the right and lower edge to multiples of ``factor``."""
    right, below = -pixels.shape[2] % factor, -pixels.shape[1] % factor
    return np.pad(pixels, ((0, 0), (0, below), (0, right), (0, 0)), "edge")


def require_whole_tokens(units: Sequence[ControlUnit], options: GuidanceOptions) -> None:
    """Raise `SettingsError` where tokens are merged or tiled that a control reads one by one."""
    name = next((each.loaded.name for each in units if each.reads_tokens), None)
    if name is None:
        return
    hint = f"must be off with {name}: a ControlNet-LLLite reads every token at its place"
    if options.merging is not None:
        raise SettingsError("token_merging", options.merging.ratio, hint)
    if options.tiles is not None:
        raise SettingsError("hypertile", options.tiles.tile, hint)


def crop_control(control: Control, prepared: PreparedImage) -> Control:
    """Return a control whose pictures show the box around the mask, which alone is drawn."""
    image, region = (
        crop_picture(each, prepared, control.resize) for each in (control.image, control.region)
    )
    return replace(control, image=image, region=region)


def crop_picture(
    picture: Image.Image | None, prepared: PreparedImage | None, mode: str
) -> Image.Image | None:
    """Return a picture of the whole as one of the box around the mask, if that alone is drawn.

    ``mode``: how it is resized to the whole.
    """
    if picture is None or prepared is None or prepared.original is None or prepared.box is None:
        return picture
    whole = prepared.original.size
    return fit_image(to_rgb(picture, "control image"), whole, mode).crop(prepared.box)


def units_of(
    loaded: Sequence[tuple[Control, ControlNetwork]],
    model: ControlledModel,
    size: tuple[int, int],
    prepared: PreparedImage | None,
    *,
    hires: bool,
) -> tuple[ControlUnit, ...]:
    """Return the controls that count in a pass. Raises `SettingsError`."""
    left_out = "base" if hires else "hires"
    units = []
    for control, network in loaded:
        if PASSES.find(control.passes).name == left_out or not control.weight:
            continue
        source, mask = control.image, control.mask
        if source is None:
            assert prepared is not None
            source = prepared.image
            mask = mask or prepared.mask
        elif mask is None and prepared is not None:
            mask = prepared.mask
        unit = ControlUnit(control, network, model, size, source, mask)
        if find_preprocessor(control.preprocessor).marks_mask and mask is None:
            raise SettingsError("control mask", None, f"{control.preprocessor} needs one")
        unit.kind, unit.strengths  # noqa: B018 - they raise what is wrong before any work
        units.append(unit)
    return tuple(units)
