"""Files whose names other tools changed: text encoders renamed, and UNets on their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from diffusion.checkpoints import ModelFile, TensorEntry, open_model, save_safetensors
from diffusion.checkpoints.bundled import bundled_model
from diffusion.checkpoints.safetensors import Header
from diffusion.checkpoints.single_file.unet_file import ModelWithUnet
from diffusion.checkpoints.verify import check_weights
from diffusion.errors import ModelFormatError, ModelMismatchError
from tests.diffusion.checkpoints.single_file.full_size_files import (
    FAMILIES,
    Shapes,
    bare_file,
    parameters,
    single_shapes,
)
from tests.diffusion.checkpoints.single_file.test_names_and_configs import (
    TOKENIZER,
    UNET,
    bias_of,
    open_shapes,
)

# open_clip's names as stable-diffusion.cpp changes them (src/name_conversion.cpp).
PREFIXES = {
    "conditioner.embedders.0.": "cond_stage_model.",
    "conditioner.embedders.1.": "cond_stage_model.1.",
}
LEAVES = {
    "model.ln_final": "transformer.text_model.final_layer_norm",
    "model.positional_embedding": "transformer.text_model.embeddings.position_embedding.weight",
    "model.token_embedding": "transformer.text_model.embeddings.token_embedding",
    "model.text_projection": "transformer.text_model.text_projection",
    "model.transformer.resblocks.": "transformer.text_model.encoder.layers.",
    ".attn.in_proj_": ".self_attn.in_proj.",
    ".attn.out_proj": ".self_attn.out_proj",
    ".ln_1.": ".layer_norm1.",
    ".ln_2.": ".layer_norm2.",
    ".mlp.c_fc.": ".mlp.fc1.",
    ".mlp.c_proj.": ".mlp.fc2.",
}


def renamed(name: str) -> str:
    """Return a tensor's name as stable-diffusion.cpp writes it."""
    for old, new in PREFIXES.items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
    if name.startswith("cond_stage_model."):
        for old, new in LEAVES.items():
            name = name.replace(old, new)
    return name


@pytest.mark.parametrize("family", FAMILIES)
def test_renamed_encoders_have_the_same_parameters(family: str) -> None:
    shapes = {renamed(name): shape for name, shape in single_shapes(family).items()}
    assert not any("embedders" in name or "resblocks" in name for name in shapes)
    model, usual = open_shapes(shapes), open_shapes(single_shapes(family))
    check_weights(model)
    for part, expected in parameters(family).items():
        found = model.weights(part).entries  # type: ignore[arg-type]
        assert found == usual.weights(part).entries  # type: ignore[arg-type]
        assert found.keys() == expected.keys()
    assert model.text_encoders == usual.text_encoders
    for part in model.text_encoders:
        assert model.padding(part) == usual.padding(part)


# ---------------------------------------------------------------- a UNet alone


def unet_shapes(family: str) -> Shapes:
    """Return the UNet's tensors under the names of ComfyUI-GGUF's files."""
    shapes = single_shapes(family).items()
    return {name.removeprefix(UNET): shape for name, shape in shapes if name.startswith(UNET)}


SPELLINGS = ("", "model.", UNET, "diffusers")


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_unet_takes_the_place_of_the_models_own(family: str, spelling: str) -> None:
    base = open_shapes(single_shapes(family))
    if spelling == "diffusers":
        shapes = {name: each.shape for name, each in parameters(family)["unet"].items()}
    else:
        shapes = {spelling + name: shape for name, shape in unet_shapes(family).items()}
    model = ModelWithUnet(base, bare_file(shapes, "small.gguf"))
    opened = check_weights(model)
    assert opened["unet"].path == Path("small.gguf")
    assert opened["vae"].path == Path("model.safetensors")
    assert model.name == "small"
    assert model.unet == base.unet
    assert model.text_encoders == base.text_encoders
    assert model.padding("text_encoder_2" if family == "sdxl" else "text_encoder") in ("!", None)


def test_axes_of_one_may_be_dropped() -> None:
    """ComfyUI-GGUF's tools write convolutions of 1x1 as matrices."""
    shapes = unet_shapes("sd1")
    flat = {n: s[:2] if s[2:] == (1, 1) else s for n, s in shapes.items()}
    assert flat != shapes
    check_weights(ModelWithUnet(open_shapes(single_shapes("sd1")), bare_file(flat)))


def test_a_unet_of_another_family_is_refused_by_names() -> None:
    base = open_shapes(single_shapes("sd1"))
    with pytest.raises(ModelMismatchError) as caught:
        check_weights(ModelWithUnet(base, bare_file(unet_shapes("sdxl"), "xl.gguf")))
    assert re.search(r"xl\.gguf: does not fit this model: .* and \d+ more", str(caught.value))


def test_a_file_without_a_unet_is_refused() -> None:
    base = open_shapes(single_shapes("sd1"))
    with pytest.raises(ModelFormatError, match=r"UNets of Stable Diffusion .* \(--unet\)"):
        ModelWithUnet(base, bare_file({"blk.0.attn_q.weight": (8, 8)}))


@pytest.mark.parametrize("prefix", ["", UNET])
def test_a_unet_alone_is_no_model(prefix: str) -> None:
    shapes = {prefix + name: shape for name, shape in unet_shapes("sd1").items()}
    with pytest.raises(ModelFormatError) as caught:
        ModelFile(bare_file(shapes, "small.gguf", None, bias_of(0.1)), tokenizer=TOKENIZER)
    assert "a UNet alone" in str(caught.value)
    assert "--model BASE --unet small.gguf" in str(caught.value)


def test_opening_a_folder_with_another_unet(tmp_path: Path) -> None:
    base = open_model(bundled_model())
    weights = base.weights("unet")
    tensors = {name: weights.read(name) for name in weights.entries}
    save_safetensors(tmp_path / "other.safetensors", tensors)
    model = open_model(bundled_model(), unet=tmp_path / "other.safetensors")
    check_weights(model)
    assert model.name == "other"
    assert model.weights("unet").path == tmp_path / "other.safetensors"
    assert model.json("unet/config.json")[0] == base.json("unet/config.json")[0]


# ---------------------------------------------------------------- blocks in parts


def test_blocks_are_cut_only_between_blocks() -> None:
    whole = TensorEntry("Q8_0", (3, 32), 100, 3 * 34)
    assert whole.can_split(3)
    assert whole.part(1, 3) == TensorEntry("Q8_0", (1, 32), 134, 34)
    crossing = TensorEntry("Q4_K", (3, 256), 100, 3 * 144)
    assert crossing.can_split(3)
    assert not TensorEntry("Q4_K", (6, 128), 100, 3 * 144).can_split(2)
    assert not TensorEntry("F16", (4, 2), 0, 16).can_split(3)
    assert not TensorEntry("F16", (3, 2), 0, 12, (1, 0)).can_split(3)
    assert not TensorEntry("F16", (), 0, 2).can_split(3)


def test_a_header_replaces_names() -> None:
    file = bare_file({"a": (2,)})
    other = file.with_header(Header({"b": file.entry("a")}, {"note": "x"}))
    assert (other.names, other.metadata["note"], other.path) == (("b",), "x", file.path)
