"""The families of single files: what tells them apart, and what their files must hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.checkpoints.parameter_names import model_kind
from diffusion.errors import FilePath, ModelFormatError, Shape, quote

Shapes = Mapping[str, Shape]

UNET_PREFIX: Final = "model.diffusion_model."
VAE_PREFIX: Final = "first_stage_model."
UNET_PREFIXES: Final = (UNET_PREFIX, "model.", "")
"""What stands before the names of a UNet that has a file of its own."""
GUIDANCE_NAME: Final = f"{UNET_PREFIX}time_embed.cond_proj.weight"
"""The layer of a latent consistency model (LCM) that reads the scale of guidance."""
COMPLETE_HINT: Final = "use a complete Stable Diffusion 1.x, 2.x or XL checkpoint"


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A text encoder: its ``part`` of the diffusers layout, its ``prefix`` in the file.

    ``renamed``: an encoder of open_clip that stands under transformers' names.
    """

    part: str
    prefix: str
    open_clip: bool
    renamed: bool = False

    @property
    def has_own_names(self) -> bool:
        """Tell whether the tensors have open_clip's names."""
        return self.open_clip and not self.renamed

    @property
    def embedding_names(self) -> tuple[str, ...]:
        """The names that the token embedding may have, the usual one first.

        transformers' ``text_model.`` is missing in files of its first and its newest versions.
        """
        names = ("",) if self.has_own_names else ("text_model.embeddings.", "embeddings.")
        return tuple(f"{self.prefix}{name}token_embedding.weight" for name in names)


@dataclass(frozen=True, slots=True)
class Family:
    """The properties that single files of one family share.

    ``text_width``: of the text that the UNet attends to, which tells the families apart.
    ``layers``: at most how many layers of the text encoder are used (SD 2.x takes the output of
    the last but one). ``side``: in pixels, as trained.
    """

    title: str
    text_width: int
    pipeline: str
    encoders: tuple[TextEncoder, ...]
    side: int
    scaling_factor: float
    layers: int = 128


FAMILIES: Final = (
    Family(
        "Stable Diffusion 1.x",
        768,
        "StableDiffusion",
        (TextEncoder("text_encoder", "cond_stage_model.transformer.", False),),
        512,
        0.18215,
    ),
    Family(
        "Stable Diffusion 2.x",
        1024,
        "StableDiffusion",
        (TextEncoder("text_encoder", "cond_stage_model.model.", True),),
        768,
        0.18215,
        layers=23,
    ),
    Family(
        "Stable Diffusion XL",
        2048,
        "StableDiffusionXL",
        (
            TextEncoder("text_encoder", "conditioner.embedders.0.transformer.", False),
            TextEncoder("text_encoder_2", "conditioner.embedders.1.model.", True),
        ),
        1024,
        0.13025,
    ),
    Family(
        "Stable Diffusion XL refiner",
        1280,
        "StableDiffusionXL",
        (TextEncoder("text_encoder_2", "conditioner.embedders.0.model.", True),),
        1024,
        0.13025,
    ),
)
_INPUTS: Final = {4: "", 9: "Inpaint"}
_OTHER_INPUTS: Final = {5: "a depth model", 7: "an upscaling model", 8: "an editing model"}


def detect_family(shapes: Shapes, file: FilePath) -> Family:
    """Return the family of a single file.

    Raises ``ModelFormatError``, which says what the file seems to be instead.
    """
    _check_not_alone(shapes, file)
    first = shapes.get(f"{UNET_PREFIX}input_blocks.0.0.weight", ())
    if len(first) != 4:
        kind = model_kind(shapes) or "a file of an unknown family"
        raise ModelFormatError(file, "names", f"must be a whole model, got {kind}", COMPLETE_HINT)
    if first[1] not in _INPUTS:
        kind = _OTHER_INPUTS.get(first[1], f"a model with {first[1]} input channels")
        reason = f"must be a model with 4 or 9 input channels, got {kind}"
        raise ModelFormatError(file, "names", reason, COMPLETE_HINT)
    text_width = _text_width(shapes)
    for each in FAMILIES:
        if each.text_width == text_width:
            _check_complete(each, shapes, file)
            return each
    known = ", ".join(str(each.text_width) for each in FAMILIES)
    reason = f"must attend to a text of width {known}, got {text_width}"
    raise ModelFormatError(file, "shapes", reason, COMPLETE_HINT)


def has_unet_alone(shapes: Shapes) -> bool:
    """Tell whether a file has the UNet of a model, and neither a VAE nor a text encoder."""
    signs = ("output_blocks.0.0.in_layers.0.weight", "up_blocks.0.resnets.0.norm1.weight")
    if not any(f"{prefix}{name}" in shapes for name in signs for prefix in UNET_PREFIXES):
        return False
    others = find_text_encoders(shapes) or any(name.startswith(VAE_PREFIX) for name in shapes)
    return not others


def _check_not_alone(shapes: Shapes, file: FilePath) -> None:
    """Refuse a file that has a UNet and nothing else."""
    if not has_unet_alone(shapes):
        return
    name = quote(Path(file).name)
    hint = f"give a base model, whose other parts are taken: --model BASE --unet {name[1:-1]}"
    raise ModelFormatError(file, "names", "must be a whole model, got a UNet alone", hint)


def _text_width(shapes: Shapes) -> int | None:
    """Return the width of the text, the inputs of the cross-attentions' keys; None without any."""
    keys = (
        shape
        for name, shape in shapes.items()
        if name.startswith(UNET_PREFIX) and name.endswith(".attn2.to_k.weight")
    )
    return next((shape[1] for shape in keys if len(shape) == 2), None)


def _check_complete(family: Family, shapes: Shapes, file: FilePath) -> None:
    """Refuse a file without a VAE or one of its family's text encoders."""
    found = {encoder.part for encoder in find_text_encoders(shapes)}
    required = {
        encoder.embedding_names: "text encoder"
        for encoder in family.encoders
        if encoder.part not in found
    }
    required[(f"{VAE_PREFIX}decoder.conv_in.weight",)] = "VAE"
    for names, part in required.items():
        if not any(name in shapes for name in names):
            name = quote(names[0], 120)
            reason = f"must have the {part} of {family.title}; {name} is missing"
            raise ModelFormatError(file, "names", reason, COMPLETE_HINT)


def pipeline_class(family: Family, shapes: Shapes) -> str:
    """Return the class that ``model_index.json`` names.

    diffusers has a class for consistency models of SD 1.x and 2.x alone, and none that inpaints.
    """
    kind = _INPUTS[shapes[f"{UNET_PREFIX}input_blocks.0.0.weight"][1]]
    if not kind and family.title.endswith("refiner"):
        kind = "Img2Img"
    if GUIDANCE_NAME in shapes and family.pipeline == "StableDiffusion" and not kind:
        return "LatentConsistencyModelPipeline"
    return f"{family.pipeline}{kind}Pipeline"


_PLACES: Final = (
    TextEncoder("text_encoder", "cond_stage_model.transformer.", False),
    TextEncoder("text_encoder", "cond_stage_model.model.", True),
    TextEncoder("text_encoder", "conditioner.embedders.0.transformer.", False),
    TextEncoder("text_encoder_2", "conditioner.embedders.0.model.", True),
    TextEncoder("text_encoder_2", "conditioner.embedders.1.model.", True),
)
_FIRST: Final = "cond_stage_model.transformer."
_RENAMED: Final = {
    1024: TextEncoder("text_encoder", _FIRST, True, renamed=True),
    1280: TextEncoder("text_encoder_2", _FIRST, True, renamed=True),
}
_RENAMED_SECOND: Final = TextEncoder(
    "text_encoder_2", "cond_stage_model.1.transformer.", True, renamed=True
)


def find_text_encoders(shapes: Shapes) -> tuple[TextEncoder, ...]:
    """Return the text encoders that a file has, by the names and shapes of its tensors.

    stable-diffusion.cpp may give those of open_clip transformers' names; their width tells them.
    """
    found: list[TextEncoder] = []
    for each in (*_PLACES, _RENAMED_SECOND):
        name = next((name for name in each.embedding_names if name in shapes), None)
        if name is not None:
            width = shapes[name][-1:] if each.prefix == _FIRST else ()
            found.append(_RENAMED.get(sum(width), each))
    return tuple(found)
