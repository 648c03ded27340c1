"""The configs of image prompts: CLIP's image encoder, and an IP-Adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from diffusion.errors import FilePath
from diffusion.models.fields import MAX_CHANNELS, MAX_LAYERS, Fields, Integer, Number, Word

__all__ = ["AdapterKind", "ClipVisionConfig", "IpAdapterConfig", "ResamplerConfig"]

AdapterKind = Literal["base", "plus", "full"]

_NEUTRAL: Final[dict[str, object]] = {
    "model_type": "clip_vision_model",
    "num_channels": 3,
    "quantization_config": None,
}


@dataclass(frozen=True, slots=True)
class ClipVisionConfig:
    """CLIP's image encoder. ``image_size``: side of what it reads, ``patch_size``: of a token.

    ``projection_dim``: width of the embedding of a whole picture.
    """

    hidden_size: Annotated[int, Integer(1, MAX_CHANNELS, default=768)]
    intermediate_size: Annotated[int, Integer(1, 8 * MAX_CHANNELS, default=3072)]
    num_hidden_layers: Annotated[int, Integer(1, MAX_LAYERS, default=12)]
    num_attention_heads: Annotated[int, Integer(1, MAX_CHANNELS, default=12)]
    image_size: Annotated[int, Integer(1, 1024, default=224)]
    patch_size: Annotated[int, Integer(1, 256, default=32)]
    hidden_act: Annotated[str, Word(("quick_gelu", "gelu"), default="quick_gelu")]
    layer_norm_eps: Annotated[float, Number(1e-12, 1, default=1e-5)]
    projection_dim: Annotated[int, Integer(1, MAX_CHANNELS, default=512)]

    @property
    def patches(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch_size

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read ``image_encoder/config.json``. Raises ``ModelFormatError``.

        As in a text encoder's config, unknown keys pass.
        """
        fields = Fields(mapping, file)
        fields.require_neutral(_NEUTRAL)
        config = cls(**fields.read_all(cls))
        if config.hidden_size % config.num_attention_heads:
            reason = f"must divide {config.hidden_size} channels, got {config.num_attention_heads}"
            fields.fail("num_attention_heads", reason)
        if config.image_size % config.patch_size:
            reason = f"must divide the side {config.image_size}, got {config.patch_size}"
            fields.fail("patch_size", reason)
        return config


@dataclass(frozen=True, slots=True)
class ResamplerConfig:
    """The perceiver of a Plus adapter: ``width`` of its tokens, ``inner`` of its attention.

    ``hidden``: of its feed-forward layers.
    """

    width: int
    inner: int
    depth: int
    hidden: int


@dataclass(frozen=True, slots=True)
class IpAdapterConfig:
    """An IP-Adapter.

    ``inputs``: width of what it reads of the image encoder: of a picture's embedding for ``base``,
    of the states before the last layer for ``plus`` and ``full``. ``tokens``: that it makes of
    each picture, 0 for one of each state. ``context``: their width, the text's. ``widths``: of the
    attentions that read them, in the order of its file.
    """

    kind: AdapterKind
    inputs: int
    tokens: int
    context: int
    widths: tuple[int, ...]
    resampler: ResamplerConfig | None = None

    @property
    def reads_states(self) -> bool:
        """Tell whether it reads the states of all patches, before the encoder's last layer."""
        return self.kind != "base"
