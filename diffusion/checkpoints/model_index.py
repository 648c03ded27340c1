"""The file ``model_index.json``: the pipeline's class, each part's class, and options of XL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.errors import ModelFormatError, quote
from diffusion.models.fields import TOOL_KEYS

Encoder = Literal["text_encoder", "text_encoder_2"]

ENCODERS: Final[Mapping[Encoder, str]] = {
    "text_encoder": "tokenizer",
    "text_encoder_2": "tokenizer_2",
}
"""Each text encoder's tokenizer."""

XL_PIPELINES: Final = (
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
)
_PIPELINES: Final = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "LatentConsistencyModelPipeline",
    "LatentConsistencyModelImg2ImgPipeline",
    *XL_PIPELINES,
)
_TOKENIZERS: Final = ("CLIPTokenizer", "CLIPTokenizerFast")
_CLASSES: Final = {
    "text_encoder": ("CLIPTextModel",),
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer": _TOKENIZERS,
    "tokenizer_2": _TOKENIZERS,
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
}
_UNUSED_PARTS: Final = (
    "add_watermarker",
    "feature_extractor",
    "image_encoder",
    "requires_safety_checker",
    "safety_checker",
)
"""Parts and options that no picture from text or pictures needs; ``image_encoder`` is for adapters
alone."""
_FLAGS: Final = {"force_zeros_for_empty_prompt": True, "requires_aesthetics_score": False}
"""Options of XL pipelines and what they are when left out."""

OTHER_FAMILY: Final = "use a Stable Diffusion 1.x, 2.x or XL model in the diffusers folder layout"


def check_index(index: Mapping[str, object], file: Path) -> None:
    """Refuse a pipeline, a part or a class that is not supported. Raises ``ModelFormatError``.

    An unknown entry may be ``null`` or ``false``, or a note (`TOOL_KEYS`).
    """
    found = index.get("_class_name")
    if found not in _PIPELINES:
        reason = f"must be {_PIPELINES[0]} or a relative, got {quote(found)}"
        raise ModelFormatError(file, "_class_name", reason, OTHER_FAMILY)
    for part, value in index.items():
        if part.startswith("_") or part in _UNUSED_PARTS or part in TOOL_KEYS:
            continue
        if part in _FLAGS:
            if not isinstance(value, bool):
                reason = f"must be true or false, got {quote(value)}"
                raise ModelFormatError(file, part, reason, DOWNLOAD_AGAIN)
        elif part in _CLASSES:
            may_be_absent = part in ENCODERS.keys() | ENCODERS.values()
            if not (may_be_absent and part_class(value) is None):
                check_class(part, part_class(value), file, part)
        elif part != "scheduler" and value is not False and part_class(value) is not None:
            raise ModelFormatError(file, quote(part), "must be a known part", OTHER_FAMILY)


def check_class(part: str, found: object, file: Path, field: str) -> None:
    """Refuse a class that is not one of a part's. Raises ``ModelFormatError`` naming ``field``."""
    if part in _CLASSES and found not in _CLASSES[part]:
        reason = f"must be {_CLASSES[part][0]}, got {quote(found)}"
        raise ModelFormatError(file, field, reason, OTHER_FAMILY)


def part_class(value: object) -> object:
    """Return the class in an entry such as ``["transformers", "CLIPTextModel"]``; None for none."""
    return value[1] if isinstance(value, list) and len(value) == 2 else value


def read_flag(index: Mapping[str, object], key: str) -> bool:
    """Return an option of an XL pipeline, or its default."""
    return index.get(key, _FLAGS[key]) is True
