"""The tiny autoencoder as it is published: ``taesd_decoder.safetensors``, its encoder apart.

Both files hold one sequence of layers, numbered from 0, and no config: it follows from the shapes.
A decoder's layer 0 is the limit of its latents, which has no weights and no number in diffusers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, NamedTuple

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.checkpoints.weights import ParameterSource, Weights
from diffusion.errors import ModelFormatError, ModelNotFoundError
from diffusion.models.config import TinyVaeConfig

Half = Literal["encoder", "decoder"]

_LAYER: Final = re.compile(r"(\d{1,3})\.((?:conv\.\d\.)?(?:weight|bias))")
_FIRST: Final[Mapping[Half, tuple[int, int]]] = {"encoder": (0, 1), "decoder": (1, 3)}
"""The numbers of the first convolution and of the first block of three."""


class TinyVaeFiles(NamedTuple):
    """The opened halves: ``missing_encoder`` is where the encoder would lie, if it is not there."""

    config: TinyVaeConfig
    weights: Weights
    missing_encoder: Path | None


def half_of(file: SafetensorsFile) -> Half | None:
    """Return which half of a published tiny autoencoder a file holds; None for other files."""
    for half, (first, block) in _FIRST.items():
        names = f"{first}.weight", f"{block}.conv.0.weight"
        if all(len(_shape(file, name)) == 4 for name in names):
            return half
    return None


def open_halves(file: SafetensorsFile) -> TinyVaeFiles:
    """Open the halves of a tiny autoencoder, given the file of one.

    The other one is looked up beside it, under the name with ``encoder`` for ``decoder`` or the
    reverse. A decoder may be alone. Raises ``ModelNotFoundError``, ``ModelFormatError``.
    """
    if half_of(file) == "encoder":
        place = _other_path(file.path, "encoder")
        if place is None or not place.exists():
            reason = "there is no such file, and pictures are drawn by it"
            raise ModelNotFoundError(
                place or file.path, reason, "name the decoder's file; its encoder may lie beside it"
            )
        return _join(_open_half(place, "decoder"), file, None)
    place = _other_path(file.path, "decoder") or file.path.with_name(
        f"{file.path.stem}_encoder{file.path.suffix}"
    )
    encoder = _open_half(place, "encoder") if place.exists() else None
    return _join(file, encoder, None if encoder else place)


def _other_path(path: Path, half: Half) -> Path | None:
    """Return the path of the other half; None where the name does not say which half it is."""
    other = "decoder" if half == "encoder" else "encoder"
    before, found, after = path.stem.rpartition(half)
    return path.with_name(f"{before}{other}{after}{path.suffix}") if found else None


def _open_half(path: Path, half: Half) -> SafetensorsFile:
    """Open one half. Raises ``ModelFormatError`` for another kind of file."""
    file = open_safetensors(path)
    if half_of(file) != half:
        reason = f"must hold the {half} of a tiny autoencoder"
        raise ModelFormatError(path, "names", reason, DOWNLOAD_AGAIN)
    return file


def _join(
    decoder: SafetensorsFile, encoder: SafetensorsFile | None, missing: Path | None
) -> TinyVaeFiles:
    """Return the halves as one autoencoder."""
    latents, channels, blocks, out_channels = _layout(decoder, "decoder")
    tree: dict[str, object] = {
        "decoder_block_out_channels": channels,
        "encoder_block_out_channels": channels,
        "latent_channels": latents,
        "num_decoder_blocks": blocks,
        "num_encoder_blocks": blocks[::-1],
        "out_channels": out_channels,
    }
    sources = list(_sources(decoder, "decoder"))
    if encoder is not None:
        in_channels, channels, blocks, encoded = _layout(encoder, "encoder")
        if encoded != latents:
            reason = f"must make {latents} channels as the decoder beside it reads, got {encoded}"
            raise ModelFormatError(encoder.path, "latent_channels", reason, DOWNLOAD_AGAIN)
        tree |= {"encoder_block_out_channels": channels, "num_encoder_blocks": blocks}
        tree["in_channels"] = in_channels
        sources += _sources(encoder, "encoder")
    config = TinyVaeConfig.from_json(tree, decoder.path)
    config = replace(config, has_encoder=encoder is not None)
    return TinyVaeFiles(config, Weights(decoder.path, sources), missing)


class _Layout(NamedTuple):
    """Channels of the input, of each level, blocks of each level, channels of the output."""

    inputs: int
    channels: list[int]
    blocks: list[int]
    outputs: int


def _layout(file: SafetensorsFile, half: Half) -> _Layout:
    """Return the layout of a half. Each level is the blocks between two convolutions."""
    numbers = {int(found[1]) for name in file.names if (found := _LAYER.fullmatch(name))}
    convolutions = sorted(n for n in numbers if len(_shape(file, f"{n}.weight")) == 4)
    blocks = [
        sum(f"{n}.conv.0.weight" in file.entries for n in range(first, last))
        for first, last in pairwise(convolutions)
    ]
    first = _shape(file, f"{_FIRST[half][0]}.weight")
    last = _shape(file, f"{convolutions[-1]}.weight")
    return _Layout(first[1], [first[0]] * len(blocks), blocks, last[0])


def _sources(file: SafetensorsFile, half: Half) -> Iterator[ParameterSource]:
    """Yield the tensors under the names that diffusers gives them; unknown ones keep theirs."""
    for stored in file.names:
        found = _LAYER.fullmatch(stored)
        number = int(found[1]) - _FIRST[half][0] if found else 0
        name = f"{half}.layers.{number}.{found[2]}" if found else stored
        yield ParameterSource(name, file, stored, file.entry(stored))


def _shape(file: SafetensorsFile, name: str) -> tuple[int, ...]:
    """Return the shape of a tensor; () where it is not there."""
    return file.entries[name].shape if name in file.entries else ()
