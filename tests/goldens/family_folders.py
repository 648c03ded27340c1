"""Write a model of `families.FAMILIES` as a folder in the diffusers layout.

`families.json` holds each part's config and shapes as diffusers saves them; weights follow from
`weights.weight`, for the text encoders and everything else.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from tests.goldens.families import FAMILIES, LENGTH, NOISE, Family
from tests.goldens.loader import FOLDER
from tests.goldens.vocabulary import write_tokenizer
from tests.goldens.weights import Array, weight

LIBRARIES: Mapping[str, tuple[str, str]] = {
    "text_encoder": ("transformers", "CLIPTextModel"),
    "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
    "tiny_vae": ("diffusers", "AutoencoderTiny"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
}
"""Library and class of each part."""

TOKENIZERS = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}


@functools.cache
def read_families() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the content of `families.json`: model, part, then `config`, `shapes` and `digest`."""
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(
        (FOLDER / "families.json").read_text(encoding="utf-8")
    )
    return found


def config(model: str, part: str) -> dict[str, Any]:
    """Return a part's `config.json`."""
    return dict(read_families()[model][part]["config"])


def parameters(model: str, part: str) -> dict[str, Array]:
    """Return a part's weights by name."""
    shapes = read_families()[model][part]["shapes"]
    return {name: weight(model, part, name, shape) for name, shape in shapes.items()}


def write_family(folder: Path, model: str, scheduler: Mapping[str, object] | None = None) -> Path:
    """Write the model; `scheduler` replaces entries of its noise. Returns the folder."""
    family = FAMILIES[model]
    for part in family.parts:
        write_part(folder / part, model, part)
    for encoder in family.encoders:
        tokenizer = folder / TOKENIZERS[encoder]
        write_tokenizer(tokenizer, max_length=LENGTH)
        if encoder == "text_encoder_2":
            _pad_with_exclamation_marks(tokenizer)
    noise = {**NOISE, **family.scheduler, **(scheduler or {})}
    _write_json(folder / "scheduler" / "scheduler_config.json", noise)
    _write_json(folder / "model_index.json", _index(family))
    return folder


def write_part(folder: Path, model: str, part: str) -> None:
    """Write one network's config and weights."""
    _write_json(folder / "config.json", config(model, part))
    name = "model" if part.startswith("text_encoder") else "diffusion_pytorch_model"
    save_file(parameters(model, part), folder / f"{name}.safetensors", metadata={"format": "pt"})


def _index(family: Family) -> dict[str, object]:
    index: dict[str, object] = {
        "_class_name": family.pipeline,
        "_diffusers_version": "0.39.0",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        **{part: list(LIBRARIES[part]) for part in family.parts},
        **family.flags,
    }
    for encoder, tokenizer in TOKENIZERS.items():
        if encoder in family.parts:
            index[tokenizer] = ["transformers", "CLIPTokenizer"]
        elif family.flags:
            index |= {encoder: [None, None], tokenizer: [None, None]}
    if not family.flags:
        index |= {"safety_checker": [None, None], "requires_safety_checker": False}
    return index


def _pad_with_exclamation_marks(folder: Path) -> None:
    """Set "!", the token 0, as padding, as SDXL's second tokenizer has it."""
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        tree = json.loads((folder / name).read_text(encoding="utf-8"))
        _write_json(folder / name, {**tree, "pad_token": "!"})


def _write_json(path: Path, document: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
