"""IP-Adapters and image encoders in files: their kinds and names, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.control import open_control
from diffusion.checkpoints.image_prompts import (
    find_image_encoder,
    open_image_encoder,
    open_ip_adapter,
)
from diffusion.control import ControlFolder
from diffusion.errors import (
    ModelError,
    ModelFormatError,
    ModelMismatchError,
    ModelNotFoundError,
    SettingsError,
)
from diffusion.models.image_prompts import ClipVisionModel, IpAdapter, IpAdapterConfig
from diffusion.models.image_prompts.projections import HEAD_WIDTH
from tests.diffusion.image_prompts.golden_prompts import (
    adapter_tensors,
    write_adapter,
    write_encoder,
)
from tests.diffusion.session_folder import session_folder
from tests.goldens import family_folders
from tests.goldens import image_prompt_cases as cases
from tests.goldens.family_folders import write_family

Tensors = dict[str, Any]

CONTEXT: int = family_folders.config("sd2", "unet")["cross_attention_dim"]


def widths() -> list[int]:
    return list(cases.saved("widths.sd2"))


def check(path: Path) -> IpAdapterConfig:
    """Open an adapter for the golden UNet and compare all its names and shapes."""
    found = open_ip_adapter(path, widths(), CONTEXT)
    found.weights.check({name: p.shape for name, p in IpAdapter(found.config).parameters()})
    return found.config


@pytest.mark.parametrize("kind", ["base", "plus", "full"])
def test_kinds(kind: str, tmp_path: Path) -> None:
    config = check(write_adapter(tmp_path / "a.safetensors", kind, "sd2"))
    assert config.kind == kind
    assert config.inputs == cases.VISION["projection_dim" if kind == "base" else "hidden_size"]
    assert config.tokens == (0 if kind == "full" else cases.TOKENS)
    if config.resampler:
        assert config.resampler.inner // HEAD_WIDTH == 2


@pytest.mark.parametrize("prefix", ["", "unet."])
@pytest.mark.parametrize("kind", ["base", "plus", "full"])
def test_names_of_diffusers(kind: str, prefix: str, tmp_path: Path) -> None:
    """The names are those that diffusers' own UNet has once it has loaded the adapter."""
    authors = adapter_tensors(kind, "sd2")
    tensors: Tensors = {f"{prefix}conv_in.bias": np.zeros(3, np.float32)}
    for name, own, half in cases.saved(f"names.{kind}"):
        array: Any = authors[own]
        tensors[prefix + name] = array if half is None else np.split(array, 2)[half].copy()
    path = tmp_path / "unet.safetensors"
    save_file(tensors, path)
    assert check(path).kind == kind
    opened = open_ip_adapter(path, widths(), CONTEXT)
    for name, array in authors.items():
        assert np.array_equal(opened.weights.read(name), array), name


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ip_adapter.0.to_q_lora.down.weight": (4, 16)}, "got FaceID"),
        ({"image_proj.perceiver_resampler.proj_in.weight": (4, 16)}, "got FaceID"),
        ({"image_proj.proj.weight": None}, "must hold proj.weight"),
        ({"image_proj.proj.weight": (3,)}, "must have 2 axes"),
        ({"ip_adapter.1.to_k_ip.weight": (16, 768)}, "made for Stable Diffusion 1.x"),
        ({"ip_adapter.1.to_k_ip.weight": (16, 40, 1)}, "must have 2 axes"),
        ({"ip_adapter.13.to_k_ip.weight": (16, 40)}, "must be 6 as in the model, got 7"),
    ],
)
def test_wrong_files(
    changes: Mapping[str, tuple[int, ...] | None], text: str, tmp_path: Path
) -> None:
    tensors = adapter_tensors("base", "sd2")
    for name, shape in changes.items():
        tensors.pop(name, None)
        if shape is not None:
            tensors[name] = np.zeros(shape, np.float32)
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ModelFormatError, match=re.escape(text)):
        check(tmp_path / "a.safetensors")


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        check(tmp_path / "none.safetensors")
    (tmp_path / "a.bin").write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelFormatError, match="avila convert"):
        check(tmp_path / "a.bin")
    save_file({"controlnet_down_blocks.0.weight": np.zeros(1)}, tmp_path / "c.safetensors")
    with pytest.raises(ModelFormatError, match="must be an IP-Adapter, got a ControlNet"):
        check(tmp_path / "c.safetensors")
    write_adapter(tmp_path / "x.safetensors", "base", "xl_base")
    with pytest.raises(ModelFormatError, match="text width"):
        check(tmp_path / "x.safetensors")


def test_control_networks_are_others(tmp_path: Path) -> None:
    model = ModelFolder(write_family(session_folder("ip-control"), "sd2"))
    with pytest.raises(ModelFormatError, match="an IP-Adapter, which --ip-adapter names"):
        open_control(write_adapter(tmp_path / "a.safetensors", "base", "sd2"), model)


def test_encoders(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "image_encoder")
    found = open_image_encoder(folder)
    assert vars_of(found.config) == {**vars_of(found.config), **cases.VISION}
    file = folder / "model.safetensors"
    with pytest.raises(ModelFormatError, match="must be of a known width"):
        open_image_encoder(file)
    with pytest.raises(ModelFormatError, match="must be a CLIP vision encoder, got an IP-Adapter"):
        open_image_encoder(write_adapter(tmp_path / "a.safetensors", "base", "sd2"))
    with pytest.raises(ModelNotFoundError):
        open_image_encoder(tmp_path / "none")
    base = check(tmp_path / "a.safetensors")
    assert find_image_encoder(tmp_path / "a.safetensors", base, ()).config == found.config
    plus = check(write_adapter(tmp_path / "xl/plus.safetensors", "plus", "sd2"))
    assert find_image_encoder(tmp_path / "xl/plus.safetensors", plus, ()).config == found.config
    with pytest.raises(ModelNotFoundError, match="one of width 24"):
        find_image_encoder(tmp_path / "a/b/c.safetensors", base, ())


def test_whole_clip_models(tmp_path: Path) -> None:
    """A folder of CLIP: its config has two parts, and its weights those of texts beside."""
    folder = write_encoder(tmp_path)
    own = open_image_encoder(folder).config
    vision = {key: value for key, value in cases.VISION.items() if key != "projection_dim"}
    config = {"model_type": "clip", "projection_dim": 24, "vision_config": vision}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    texts = {"logit_scale": np.zeros((), np.float32), "text_projection.weight": np.zeros((2, 2))}
    save_file(cases.vision_parameters() | texts, folder / "model.safetensors")
    found = open_image_encoder(folder)
    assert found.config == own
    found.weights.check({n: each.shape for n, each in ClipVisionModel(own).parameters()})


def vars_of(config: object) -> dict[str, Any]:
    return {name: getattr(config, name) for name in cases.VISION}


@pytest.mark.parametrize(
    ("width", "heads", "projection", "act"),
    [(1280, 16, 1024, "gelu"), (1664, 16, 1280, "gelu"), (1024, 16, 768, "quick_gelu")],
)
def test_encoders_without_a_config(
    width: int, heads: int, projection: int, act: str, tmp_path: Path
) -> None:
    """Files of ComfyUI: ViT-H/14, ViT-bigG/14 and ViT-L/14, cut to one thin layer."""
    shapes = {
        "vision_model.embeddings.class_embedding": (width,),
        "vision_model.embeddings.patch_embedding.weight": (width, 3, 14, 14),
        "vision_model.embeddings.position_embedding.weight": (257, width),
        "vision_model.embeddings.position_ids": (1, 257),
        "visual_projection.weight": (projection, width),
        "vision_model.encoder.layers.0.mlp.fc1.weight": (8, width),
        "vision_model.encoder.layers.0.mlp.fc1.bias": (8,),
        "vision_model.encoder.layers.0.mlp.fc2.weight": (width, 8),
        "vision_model.encoder.layers.0.mlp.fc2.bias": (width,),
    }
    layer = "vision_model.encoder.layers.0"
    for norm in ("vision_model.pre_layrnorm", "vision_model.post_layernorm"):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    for norm in ("layer_norm1", "layer_norm2"):
        shapes |= {f"{layer}.{norm}.weight": (width,), f"{layer}.{norm}.bias": (width,)}
    for each in ("q", "k", "v", "out"):
        place = f"{layer}.self_attn.{each}_proj"
        shapes |= {f"{place}.weight": (width, width), f"{place}.bias": (width,)}
    path = tmp_path / "clip.safetensors"
    tensors = {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
    tensors |= {"text_model.final_layer_norm.bias": np.zeros(4, np.float16)}
    save_file({name.removeprefix("vision_model."): a for name, a in tensors.items()}, path)
    found = open_image_encoder(path)
    config = found.config
    assert (config.num_attention_heads, config.hidden_act) == (heads, act)
    assert (config.image_size, config.patch_size, config.num_hidden_layers) == (224, 14, 1)
    found.weights.check({n: each.shape for n, each in ClipVisionModel(config).parameters()})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_attention_heads", 5),
        ("patch_size", 3),
        ("hidden_size", 10**9),
        ("hidden_act", "relu"),
        ("model_type", "clip_text_model"),
        ("num_channels", 4),
    ],
)
def test_wrong_configs(key: str, value: object, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    (folder / "config.json").write_text(json.dumps({**cases.VISION, key: value}), "utf-8")
    with pytest.raises(ModelFormatError, match=key):
        open_image_encoder(folder)


SHAPES = st.lists(st.sampled_from([0, 1, 2, 16, 24, 40]), max_size=4).map(tuple)
NAMES = st.sampled_from(
    [
        "image_proj.latents",
        "image_proj.proj.3.weight",
        "image_proj.proj.weight",
        "image_proj.layers.0.0.to_q.weight",
        "image_proj.layers.0.1.1.weight",
        "image_proj.layers.7.0.to_q.weight",
        "image_proj.proj_in.weight",
        "ip_adapter.1.to_k_ip.weight",
        "ip_adapter.99999.to_k_ip.weight",
        "ip_adapter.-1.to_v_ip.weight",
        "unet.down_blocks.0.attentions.0.attn2.processor.to_k_ip.0.weight",
        "encoder_hid_proj.image_projection_layers.0.norm.weight",
        "",
        "\x00",
    ]
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(["base", "plus", "full"]),
    removed=st.integers(0, 60),
    changes=st.dictionaries(NAMES, SHAPES, max_size=3),
)
def test_mutated_files_are_refused(
    kind: str, removed: int, changes: dict[str, tuple[int, ...]]
) -> None:
    """Files with a tensor less, more or of another shape: an error of ours, or the same adapter."""
    tensors = adapter_tensors(kind, "sd2")
    whole = {name: np.shape(array) for name, array in tensors.items()}
    names = sorted(tensors)
    if removed < len(names):
        del tensors[names[removed]]
    for name, shape in changes.items():
        tensors[name] = np.zeros(shape, np.float32)
    path = session_folder("mutated-adapters") / "a.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file(tensors, path)
    error: ModelError | None = None
    try:
        check(path)
    except ModelError as found:
        error = found
    if error is None:
        assert {name: np.shape(array) for name, array in tensors.items()} == whole
    else:
        assert isinstance(error, ModelFormatError | ModelMismatchError)
        assert str(error)


def test_names_that_are_not_there_are_told_by_what_they_name(tmp_path: Path) -> None:
    folder = ControlFolder(tmp_path)
    with pytest.raises(SettingsError, match=r"ip adapter cannot be 'plus'.* no such IP-Adapter"):
        folder.find_adapter("plus")
    with pytest.raises(SettingsError, match=r"ip encoder cannot be 'h'.* no such image encoder"):
        folder.find_encoder("h")
    with pytest.raises(SettingsError, match=r"control model cannot be 'x'.* control network"):
        folder.find("x")
