"""The golden files fit their cases, and the weights drawn here are those PyTorch computed with."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.goldens import weights
from tests.goldens.cases import PIPELINE_CASES, SAMPLERS, SCHEDULE_STEPS, UNET_CASES, VAE_CASES
from tests.goldens.configs import MODELS, PARTS
from tests.goldens.folders import WEIGHT_FILES, Layout, config, tensors, write_model
from tests.goldens.loader import FOLDER, load, parameters, saved_part
from tests.goldens.vocabulary import write_tokenizer

EMOJI_TOKENIZER = Path(__file__).resolve().parents[2] / "models" / "emoji" / "tokenizer"
PROBE = ["0xcc3965134d891b6b", "0xcdca54f3359f70e"]

every_part = pytest.mark.parametrize(
    ("model", "part"), [(model, part) for model in MODELS for part in PARTS]
)


def test_words_are_pinned() -> None:
    assert [hex(word) for word in weights.words("probe", 2)] == PROBE


def test_numbers_have_the_promised_moments() -> None:
    drawn = weights.normal("moments", (40_000,)).astype(np.float64)
    # Four deviations of the mean and of the variance over 40 000 draws.
    assert abs(drawn.mean()) < 4 / 200
    assert abs(drawn.var() - 1) < 4 * 2**0.5 / 200
    assert np.abs(drawn).max() <= 3.47
    flat = weights.uniform("moments", (40_000,)).astype(np.float64)
    assert flat.min() >= -1
    assert flat.max() < 1
    assert abs(flat.mean()) < 4 / 200


@every_part
def test_weights_are_those_that_pytorch_had(model: str, part: str) -> None:
    drawn = parameters(model, part)
    assert weights.digest(drawn) == saved_part(model, part).digest
    for array in drawn.values():
        np.testing.assert_array_equal(array.astype(np.float16).astype(np.float32), array)


def test_an_images_noise_is_the_same_in_every_batch() -> None:
    alone = weights.step_noise(3, batch=1, height=5, width=6)
    np.testing.assert_array_equal(
        weights.step_noise(3, batch=2, height=5, width=6)[:1], alone, strict=True
    )
    assert not np.array_equal(weights.step_noise(2, batch=1, height=5, width=6), alone)


def test_text_and_unet_arrays_fit_their_cases() -> None:
    text = load("text")
    assert set(text) == {f"{model}/{kind}" for model in MODELS for kind in ("ids", "states")}
    for name, model in MODELS.items():
        states = text[f"{name}/states"]
        assert states.shape == (3, model.max_length, model.text_width)
        assert np.isfinite(states).all()
    unet = load("unet")
    assert set(unet) == {case.name for case in UNET_CASES}
    for case in UNET_CASES:
        assert unet[case.name].shape == case.latents().shape
        assert np.isfinite(unet[case.name]).all()


def test_vae_arrays_fit_their_cases() -> None:
    vae = load("vae")
    assert len(vae) == 2 * len(VAE_CASES)
    for case in VAE_CASES:
        assert vae[f"{case.name}/moments"].shape == (case.batch, 8, case.height, case.width)
        assert vae[f"{case.name}/decoded"].shape == case.image().shape
        assert np.isfinite(vae[f"{case.name}/decoded"]).all()


def test_pipeline_arrays_fit_their_cases() -> None:
    runs = load("pipeline")
    assert len(runs) == 4 * len(PIPELINE_CASES)
    for case in PIPELINE_CASES:
        sigmas, timesteps, latents, image = (
            runs[f"{case.name}/{kind}"] for kind in ("sigmas", "timesteps", "latents", "image")
        )
        assert sigmas.shape == (case.steps + 1,)
        assert timesteps.shape == (case.steps,)
        assert (np.diff(sigmas) < 0).all()
        assert sigmas[-1] == 0
        assert latents.shape == (case.steps, *case.initial_noise().shape)
        factor = MODELS[case.model].vae_factor
        assert image.shape == (case.batch, factor * case.height, factor * case.width, 3)
        assert [a.dtype.name for a in (image, sigmas, latents)] == ["uint8", "float64", "float32"]


def test_every_sampler_meets_every_schedule() -> None:
    met = {(case.sampler, case.schedule) for case in PIPELINE_CASES}
    assert met == {(sampler, schedule) for sampler in SAMPLERS for schedule in SCHEDULE_STEPS}


def test_runs_differ_wherever_their_cases_do() -> None:
    """A test against one case fails on the results of another: beyond 1e-4 in some step."""
    runs = load("pipeline")
    cases = [case for case in PIPELINE_CASES if case.model == "two_levels" and case.steps == 5]
    # With η = 0 a ddim step is an Euler step, with η = 1 an ancestral one.
    distinct = [case for case in cases if case.sampler != "ddim" or case.eta == 0.5]
    for index, case in enumerate(distinct):
        for other in distinct[:index]:
            ours, theirs = (runs[f"{which.name}/latents"] for which in (case, other))
            assert np.linalg.norm(ours - theirs) > 2e-4 * np.linalg.norm(theirs), (case, other)


@pytest.mark.parametrize("layout", ["current", "old", "flat"])
def test_folders_hold_the_weights(tmp_path: Path, layout: Layout) -> None:
    write_model(tmp_path, "two_levels", dtype=np.float16, layout=layout)
    assert {path.name for path in tmp_path.iterdir()} == {
        "model_index.json",
        "scheduler",
        "tokenizer",
        *PARTS,
    }
    for part in PARTS:
        read = load_file(tmp_path / part / WEIGHT_FILES[part])
        expected = tensors("two_levels", part, dtype=np.float16, layout=layout)
        assert read.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(read[name], array, strict=True)
        written = json.loads((tmp_path / part / "config.json").read_text())
        assert written == config("two_levels", part, layout=layout)


def test_layouts_name_parameters_as_their_age_did() -> None:
    query = "encoder.mid_block.attentions.0.{}.weight"
    assert query.format("to_q") in tensors("two_levels", "vae")
    assert query.format("query") in tensors("two_levels", "vae", layout="old")
    text = "text_model.final_layer_norm.bias"
    assert text in tensors("two_levels", "text_encoder", layout="old")
    assert text.removeprefix("text_model.") in tensors("two_levels", "text_encoder", layout="flat")
    old = config("two_levels", "unet", layout="old")
    assert old["in_channels"] == 4
    assert "time_cond_proj_dim" not in old
    assert "time_cond_proj_dim" in config("two_levels", "unet")


def _digests(folder: Path) -> dict[str, str]:
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("merges.txt", "vocab.json")
    }


def test_token_ids_belong_to_the_vocabularies(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, max_length=77)
    for name, folder in (("golden", tmp_path), ("emoji", EMOJI_TOKENIZER)):
        document = json.loads((FOLDER / f"tokenizer_{name}.json").read_text())
        hint = "the tokenizer changed: run `python -m tools.goldens tokenizers`"
        assert document["files"] == _digests(folder), hint
        assert all(len(entry["ids"]) == 77 for entry in document["prompts"])
