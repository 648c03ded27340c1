"""The names of full-size single files, against what diffusers' converters make of them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFile, SafetensorsFile
from diffusion.checkpoints.conversion import SingleTensors
from diffusion.checkpoints.single_file import Prediction
from diffusion.checkpoints.single_file.module_names import vae_names
from diffusion.checkpoints.single_file.name_pairs import replace_start
from diffusion.errors import ModelFormatError, ModelMismatchError
from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.module import Module
from diffusion.models.unet import UNet
from diffusion.models.vae import Vae
from tests.diffusion.checkpoints.single_file.full_size_files import (
    FAMILIES,
    Shapes,
    bare_file,
    parameters,
    single_shapes,
)
from tests.goldens import full_size

TOKENIZER = Path(__file__).parents[4] / "models" / "emoji" / "tokenizer"
UNET = "model.diffusion_model."
TELLING_BIAS = f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"


def open_shapes(shapes: Shapes, name: str = "model.safetensors", **metadata: str) -> ModelFile:
    return ModelFile(bare_file(shapes, name, metadata, bias_of(0.1)), tokenizer=TOKENIZER)


def bias_of(deviation: float) -> dict[str, NDArray[np.float16]]:
    """Return the bias that tells what an SD 2.x UNet predicts."""
    numbers = deviation * np.random.default_rng(1).choice([-1, 1], 320) + 0.5
    return {TELLING_BIAS: numbers.astype(np.float16)}


def network(model: ModelFile, part: str) -> Module:
    if part == "unet":
        return UNet(model.unet)
    if part == "vae":
        return Vae(model.vae)
    kind = ProjectedClipTextModel if part == "text_encoder_2" else ClipTextModel
    return kind(model.text_encoders[part])  # type: ignore[index]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_parameter_lies_where_diffusers_finds_it(family: str) -> None:
    model = open_shapes(single_shapes(family))
    file: SafetensorsFile = model.file
    for part, wanted in parameters(family).items():
        found = model.weights(part).entries  # type: ignore[arg-type]
        assert {name: entry.shape for name, entry in found.items()} == {
            name: source.shape for name, source in wanted.items()
        }
        for name, source in wanted.items():
            whole = file.entry(source.single)
            fused = ".in_proj_" in source.single
            start = whole.offset + (source.third * whole.nbytes // 3 if fused else 0)
            assert found[name].offset == start, name
            assert found[name].nbytes == whole.nbytes // (3 if fused else 1), name
            turned = source.single.endswith("text_projection")
            assert found[name].axes == ((1, 0) if turned else None), name


def test_the_networks_ask_for_these_parameters(family: str) -> None:
    """The configs worked out from the shapes build networks that the file fits."""
    model = open_shapes(single_shapes(family))
    for part, wanted in parameters(family).items():
        asked = {name: each.shape for name, each in network(model, part).parameters()}
        assert asked == {name: source.shape for name, source in wanted.items()}
        model.weights(part).check(asked)  # type: ignore[arg-type]


def test_writing_gives_the_names_back(family: str) -> None:
    """All tensors but those that no picture needs."""
    shapes = single_shapes(family)
    written = {
        name: shape for name, (_, shape) in SingleTensors(open_shapes(shapes)).layout().items()
    }
    unused = (".position_ids", ".logit_scale", ".resblocks.23.", "cond_stage_model.model.text_proj")
    whole = family.startswith("sdxl")
    expected = {
        name: shape
        for name, shape in shapes.items()
        if not any(sign in name for sign in (unused[:2] if whole else unused))
    }
    assert written == expected


# ---------------------------------------------------------------- families


def test_configs_of_sd1() -> None:
    model = open_shapes(single_shapes("sd1"))
    assert model.unet.heads == (8, 8, 8, 8)
    assert not model.unet.use_linear_projection
    assert model.unet.sample_size == 64
    assert model.text_encoders["text_encoder"].hidden_act == "quick_gelu"
    assert model.text_encoders["text_encoder"].num_attention_heads == 12
    assert model.scheduler.prediction_type == "epsilon"
    assert model.vae.scaling_factor == 0.18215
    assert model.padding("text_encoder") is None


def test_configs_of_inpainting() -> None:
    model = open_shapes(single_shapes("sd1_inpaint"))
    assert model.json("model_index.json")[0]["_class_name"] == "StableDiffusionInpaintPipeline"
    assert (model.unet.in_channels, model.unet.out_channels) == (9, 4)


def test_configs_of_sd2() -> None:
    model = open_shapes(single_shapes("sd2"))
    assert model.unet.heads == (5, 10, 20, 20)
    assert model.unet.use_linear_projection
    assert model.text_encoders["text_encoder"].num_hidden_layers == 23
    assert model.text_encoders["text_encoder"].hidden_act == "gelu"
    assert model.padding("text_encoder") == "!"


def test_configs_of_sdxl() -> None:
    model = open_shapes(single_shapes("sdxl"))
    assert model.is_xl
    assert not model.asks_for_score
    assert model.zeros_for_empty_prompt
    assert model.unet.heads == (5, 10, 20)
    assert [row[0] for row in model.unet.down_depths] == [1, 2, 10]
    assert model.unet.mid_depth == 10
    assert model.unet.sample_size == 128
    assert model.vae.scaling_factor == 0.13025
    assert model.text_encoders["text_encoder_2"].projection_dim == 1280
    assert [model.padding(part) for part in model.text_encoders] == [None, "!"]


def test_configs_of_the_refiner() -> None:
    model = open_shapes(single_shapes("sdxl_refiner"))
    assert model.asks_for_score
    assert list(model.text_encoders) == ["text_encoder_2"]
    assert model.unet.heads == (6, 12, 24, 24)
    assert model.unet.mid_depth == 4


@pytest.mark.parametrize(
    ("name", "metadata", "deviation", "side", "prediction"),
    [
        ("v2-1_768-ema-pruned", {}, 0.1, 96, "v_prediction"),
        ("v2-1_512-ema-pruned", {}, 0.08, 64, "epsilon"),
        ("512-base-ema", {}, 0.08, 64, "epsilon"),
        ("512-base-ema", {}, 0.1, 64, "v_prediction"),
        ("sd_turbo", {}, 0.08, 64, "epsilon"),
        ("sd_turbo", {}, float("nan"), 64, "epsilon"),
        ("basement", {}, 0.1, 96, "v_prediction"),
        ("x", {"modelspec.resolution": "512x512"}, 0.08, 64, "epsilon"),
        ("x", {"modelspec.resolution": "512x512"}, 0.1, 64, "v_prediction"),
        ("512", {"modelspec.resolution": "768x768"}, 0.1, 96, "v_prediction"),
        ("x", {"modelspec.resolution": "768x768"}, 0.08, 96, "epsilon"),
        ("x", {"modelspec.prediction_type": "epsilon"}, 0.1, 96, "epsilon"),
        ("x-512", {"modelspec.prediction_type": "v"}, 0.08, 64, "v_prediction"),
        (
            "x",
            {"modelspec.resolution": "9x9", "modelspec.prediction_type": "?"},
            0.1,
            96,
            "v_prediction",
        ),
    ],
)
def test_what_sd2_predicts(
    name: str, metadata: dict[str, str], deviation: float, side: int, prediction: str
) -> None:
    file = bare_file(single_shapes("sd2"), f"{name}.safetensors", metadata, bias_of(deviation))
    model = ModelFile(file, tokenizer=TOKENIZER)
    assert (model.unet.sample_size, model.scheduler.prediction_type) == (side, prediction)
    for chosen in get_args(Prediction):
        told = ModelFile(file, tokenizer=TOKENIZER, prediction=chosen)
        assert told.scheduler.prediction_type == chosen


@pytest.mark.parametrize("shape", [None, (), (320, 1), (2**20,)])
@pytest.mark.parametrize(("name", "prediction"), [("x", "v_prediction"), ("x-512", "epsilon")])
def test_what_sd2_predicts_by_its_size(
    name: str, prediction: str, shape: tuple[int, ...] | None
) -> None:
    """Where the bias is not there, or is not one: no number of it is read."""
    shapes = {key: each for key, each in single_shapes("sd2").items() if key != TELLING_BIAS}
    shapes |= {} if shape is None else {TELLING_BIAS: shape}
    model = ModelFile(bare_file(shapes, f"{name}.safetensors"), tokenizer=TOKENIZER)
    assert model.scheduler.prediction_type == prediction


def test_other_models_predict_noise_whatever_the_bias() -> None:
    """SD 1.x, and SD 2.x that inpaints: its numbers are not read."""
    inpainting = single_shapes("sd2") | {f"{UNET}input_blocks.0.0.weight": (320, 9, 3, 3)}
    for shapes in (single_shapes("sd1"), inpainting):
        model = ModelFile(bare_file(shapes), tokenizer=TOKENIZER)
        assert model.scheduler.prediction_type == "epsilon"
        assert model.unet.sample_size == 64


def test_marks_of_velocity_models() -> None:
    marked = single_shapes("sdxl") | {"v_pred": (), "ztsnr": ()}
    model = open_shapes(marked)
    assert model.scheduler.prediction_type == "v_prediction"
    assert model.scheduler.rescale_betas_zero_snr
    assert model.unused_names() == []
    assert open_shapes(single_shapes("sdxl")).scheduler.prediction_type == "epsilon"


@pytest.mark.parametrize(
    ("family", "pipeline"),
    [
        ("sd1", "LatentConsistencyModelPipeline"),
        ("sd1_inpaint", "StableDiffusionInpaintPipeline"),
        ("sdxl", "StableDiffusionXLPipeline"),
    ],
)
def test_a_consistency_model_reads_its_guidance(family: str, pipeline: str) -> None:
    name = f"{UNET}time_embed.cond_proj.weight"
    shapes = single_shapes(family) | {name: (320, 256)}
    model = open_shapes(shapes)
    assert model.unet.time_cond_proj_dim == 256
    index = model.json("model_index.json")[0]
    assert (index["_class_name"], index["scheduler"]) == (pipeline, ["diffusers", "LCMScheduler"])
    assert model.scheduler.set_alpha_to_one
    asked = network_shapes(model, "unet")
    model.weights("unet").check(asked)
    assert asked["time_embedding.cond_proj.weight"] == (320, 256)
    if family == "sd1":
        assert asked == full_size.parameters("sd15_lcm")
    assert SingleTensors(model).layout()[name] == ("F16", (320, 256))


def test_a_guidance_layer_of_no_shape_is_refused() -> None:
    model = open_shapes(single_shapes("sd1") | {f"{UNET}time_embed.cond_proj.weight": (320,)})
    with pytest.raises(ModelMismatchError, match=r"unknown .*time_embedding\.cond_proj\.weight"):
        model.weights("unet").check(network_shapes(model, "unet"))


# ---------------------------------------------------------------- what is odd or wrong


def test_what_training_leaves_is_passed_over() -> None:
    left = {
        "model_ema.decay": (),
        "model_ema.diffusion_modelinput_blocks00weight": (320, 4, 3, 3),
        "betas": (1000,),
        "alphas_cumprod_prev": (1000,),
        "sqrt_one_minus_alphas_cumprod": (1000,),
        "sqrt_recipm1_alphas_cumprod": (1000,),
        "log_one_minus_alphas_cumprod": (1000,),
        "posterior_mean_coef2": (1000,),
        "first_stage_model.loss.discriminator.main.0.weight": (64, 3, 4, 4),
    }
    model = open_shapes(single_shapes("sd1") | left)
    assert model.unused_names() == []
    model.weights("unet").check(dict(network_shapes(model, "unet")))
    model.weights("vae").check(dict(network_shapes(model, "vae")))


def network_shapes(model: ModelFile, part: str) -> Shapes:
    return {name: each.shape for name, each in network(model, part).parameters()}


def test_a_text_encoder_without_its_first_name() -> None:
    """Files of the first and the newest versions of transformers."""
    bare = {name.replace(".text_model.", "."): s for name, s in single_shapes("sd1").items()}
    model = open_shapes(bare)
    assert configs_of(model) == configs_of(open_shapes(single_shapes("sd1")))
    model.weights("text_encoder").check(network_shapes(model, "text_encoder"))


def configs_of(model: ModelFile) -> tuple[object, ...]:
    return model.unet, model.vae, dict(model.text_encoders), model.scheduler


def test_unknown_tensors_are_named() -> None:
    odd = {f"{UNET}odd.weight": (1,), "control_model.zero.weight": (1,)}
    model = open_shapes(single_shapes("sd1") | odd)
    with pytest.raises(Exception, match=r"has unknown .*odd\.weight.*control_model") as caught:
        model.weights("unet").check(network_shapes(model, "unet"))
    assert type(caught.value).__name__ == "ModelMismatchError"


def test_missing_and_misshapen_tensors_are_named() -> None:
    shapes = single_shapes("sd1")
    del shapes[f"{UNET}input_blocks.4.0.in_layers.0.bias"]
    shapes[f"{UNET}out.2.bias"] = (5,)
    model = open_shapes(shapes)
    with pytest.raises(
        Exception,
        match=r"lacks 'down_blocks\.1\.resnets\.0\.norm1\.bias'.*conv_out\.bias' is \[5\]",
    ):
        model.weights("unet").check(network_shapes(model, "unet"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({f"{UNET}input_blocks.0.0.weight": (320, 5, 3, 3)}, "got a depth model"),
        ({f"{UNET}input_blocks.0.0.weight": (320, 7, 3, 3)}, "got an upscaling model"),
        ({f"{UNET}input_blocks.0.0.weight": (320, 8, 3, 3)}, "got an editing model"),
        ({f"{UNET}input_blocks.0.0.weight": (320, 16, 3, 3)}, "16 input channels"),
        ({f"{UNET}input_blocks.0.0.weight": (320,)}, "no checkpoint|single-file checkpoint"),
        (
            {"first_stage_model.decoder.conv_in.weight": None},
            "must have the VAE of Stable Diffusion",
        ),
        (
            {"cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": None},
            "must have the text encoder of Stable Diffusion",
        ),
        (
            {"first_stage_model.encoder.down.0.block.0.conv2.weight": None},
            "must have a VAE of a known layout",
        ),
        (
            {f"{UNET}input_blocks.1.0.out_layers.3.weight": None},
            "must have a UNet of a known layout",
        ),
    ],
)
def test_other_models_say_what_they_are(
    change: dict[str, tuple[int, ...] | None], reason: str
) -> None:
    shapes = single_shapes("sd1") | change
    with pytest.raises(ModelFormatError, match=reason):
        open_shapes({name: shape for name, shape in shapes.items() if shape is not None})


def test_a_last_convolution_of_no_shape() -> None:
    shapes = single_shapes("sd1") | {"model.diffusion_model.out.2.weight": ()}
    assert open_shapes(shapes).unet.out_channels == 4


def test_a_lora_is_no_model() -> None:
    with pytest.raises(ModelFormatError, match="must be a whole model, got a LoRA"):
        open_shapes({"lora_unet_down_blocks_0.lora_up.weight": (4, 4)})


def test_a_name_of_many_parts_costs_no_more_than_one_of_few() -> None:
    """Names come from files: only as many leading parts are looked at as the table's names have."""
    looked_up: list[str] = []

    class Counted(dict[str, str]):
        def __contains__(self, key: object) -> bool:
            looked_up.append(str(key))
            return super().__contains__(key)

    table = Counted({"a.b": "c.d"})
    assert replace_start("a.b" + ".x" * 256, table, 2) == "c.d" + ".x" * 256
    assert replace_start("x" + ".x" * 256, table, 2) is None
    assert looked_up == ["a.b", "x.x", "x"]
    names = vae_names(4, 2)
    assert names.diffusers("decoder.mid.attn_1.q.weight" + "." * 256) is not None
