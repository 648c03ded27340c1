"""A UNet in a file of its own, in place of the UNet of another model.

ComfyUI keeps such files, most often quantised: GGUF (ComfyUI-GGUF), or 8-bit floats. The names are
those of single files, with or without their prefix, or those of the diffusers layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.hub import find_model
from diffusion.checkpoints.model_folder import ModelFolder, Part
from diffusion.checkpoints.model_index import Encoder
from diffusion.checkpoints.safetensors import SafetensorsFile, TensorEntry
from diffusion.checkpoints.safetensors.scales import with_scales
from diffusion.checkpoints.single_file.families import UNET_PREFIXES, has_unet_alone
from diffusion.checkpoints.single_file.module_names import unet_names
from diffusion.checkpoints.single_file.sources import is_leftover
from diffusion.checkpoints.tensor_files import open_tensors
from diffusion.checkpoints.weights import ParameterSource, Weights
from diffusion.errors import ModelFormatError, Shape
from diffusion.models.unet import UNet

__all__ = ["ModelWithUnet", "is_unet_alone"]

_DIFFUSERS_NAME = "conv_in.weight"
_TRAINING_NAME = "input_blocks.0.0.weight"


class ModelWithUnet(ModelFolder):
    """A model whose UNet's weights come from the file ``unet``; all else is that of ``base``.

    ``unet``: a path, or ``owner/name/FILE`` from the cache of downloads.

    Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """

    def __init__(self, base: ModelFolder, unet: str | Path | SafetensorsFile) -> None:
        self.base = base
        self.path = base.path
        self.unet, self.vae = base.unet, base.vae
        self.text_encoders, self.tokenizers = base.text_encoders, base.tokenizers
        self.scheduler = base.scheduler
        self.zeros_for_empty_prompt = base.zeros_for_empty_prompt
        self.asks_for_score = base.asks_for_score
        file = unet if isinstance(unet, SafetensorsFile) else open_tensors(find_model(unet))
        self._file = with_scales(file)
        self._prefix = _prefix_of(self._file)

    @property
    def name(self) -> str:
        """The name of the UNet's file without its suffix."""
        return self._file.path.stem

    def json(self, name: str) -> tuple[dict[str, object], Path]:
        """Return what the base model has."""
        return self.base.json(name)

    def padding(self, encoder: Encoder) -> str | None:
        """Return what the base model has."""
        return self.base.padding(encoder)

    def weights(self, part: Part) -> Weights:
        """Return a part's tensors: the UNet's from its file, the others from the base model."""
        if part != "unet":
            return self.base.weights(part)
        return Weights(self._file.path, self._sources())

    def _sources(self) -> Iterator[ParameterSource]:
        """Yield the sources of the UNet's parameters."""
        config = self.unet
        names = unet_names(config.down_block_types, config.up_block_types, config.layers_per_block)
        expected = {name: each.shape for name, each in UNet(config).parameters()}
        for stored in self._file.names:
            plain = stored.removeprefix(self._prefix)
            if is_leftover(stored) or not stored.startswith(self._prefix):
                continue
            name = plain if plain in expected else names.diffusers(plain) or stored
            entry = _fit_shape(self._file.entry(stored), expected.get(name))
            yield ParameterSource(name, self._file, stored, entry)


def is_unet_alone(path: str | Path) -> bool:
    """Tell whether a file holds a UNet and no other part of a model; only its header is read.

    Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    with reading(path):
        return has_unet_alone({n: each.shape for n, each in open_tensors(path).entries.items()})


def _prefix_of(file: SafetensorsFile) -> str:
    """Return what stands before the UNet's names in a file. Raises ``ModelFormatError``."""
    for prefix in UNET_PREFIXES:
        if any(f"{prefix}{name}" in file.entries for name in (_TRAINING_NAME, _DIFFUSERS_NAME)):
            return prefix
    reason = f"must have {_TRAINING_NAME} or {_DIFFUSERS_NAME}, as UNets of Stable Diffusion have"
    raise ModelFormatError(file.path, "names", reason, "name the file of a UNet (--unet)")


def _fit_shape(entry: TensorEntry, expected: Shape | None) -> TensorEntry:
    """Return a tensor in the expected shape, where they differ in axes of size 1 alone.

    Writers of GGUF drop such axes: a convolution of 1x1 becomes a matrix.
    """
    if expected is None or entry.axes is not None or entry.shape == expected:
        return entry
    same = [n for n in entry.shape if n != 1] == [n for n in expected if n != 1]
    return entry.reshape(*expected) if same else entry
