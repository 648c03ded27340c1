"""The shapes of the full-size models fit each other, and their names the benchmark's goals."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.models import GOALS, decoded_sizes, image_row, unet_row, vae_row
from diffusion.checkpoints import ModelFolder
from diffusion.checkpoints.verify import check_finite, check_weights
from diffusion.pipeline.loading import load_tokenizers
from tools.full_size import control, lora
from tools.full_size.memory import draw
from tools.full_size.models import MODELS, Model
from tools.full_size.random_folder import write_random_folder

ALL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@ALL
def test_text_and_sizes_fit_the_unet(model: Model) -> None:
    unet = model.parts["unet"]
    text = [part for name, part in model.parts.items() if name.startswith("text_encoder")]
    assert unet["cross_attention_dim"] == sum(part["hidden_size"] for part in text)
    added = unet.get("projection_class_embeddings_input_dim", 0)
    told = len(model.sizes) * unet.get("addition_time_embed_dim", 0)
    assert added == model.pooled_width + told
    assert unet["sample_size"] == model.size // 8


@ALL
def test_names_are_those_of_the_goals(model: Model) -> None:
    goals = {goal.row for goal in GOALS if goal.row.startswith(f"{model.name}:")}
    assert not goals or unet_row(model.name, model.size) in goals
    decoded = {vae_row(model.name, size) for size in decoded_sizes(model.size)}
    assert {goal for goal in goals if "VAE" in goal} <= decoded
    images = {image_row(model.name, model.size, 20)}
    assert {goal for goal in goals if "image" in goal} <= images


def tiny(model: Model) -> Model:
    """Return a model with the blocks of a full-size one, at its least widths."""
    widths = [32, 64, 128, 128][: len(model.parts["unet"]["block_out_channels"])]
    encoders = [part for part in model.parts if part.startswith("text_encoder")]
    text = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    text |= {"vocab_size": 4096}
    unet = {"block_out_channels": widths, "cross_attention_dim": 16 * len(encoders)}
    unet |= {"attention_head_dim": [2] * len(widths), "layers_per_block": 1}
    unet |= {"transformer_layers_per_block": 1}
    if model.pooled_width:
        width = 16 * len(model.sizes) + 8
        unet |= {"addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": width}
    changes: dict[str, dict[str, object]] = {
        "unet": unet,
        "vae": {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1},
        **{part: {**text, "num_hidden_layers": 1, "projection_dim": 8} for part in encoders},
    }
    parts = {part: {**config, **changes[part]} for part, config in model.parts.items()}
    return replace(model, parts=parts)


@ALL
def test_a_folder_of_random_weights_is_a_model(model: Model, tmp_path: Path) -> None:
    """Its numbers are finite, and a weight's deviation follows from its inputs."""
    write_random_folder(tmp_path, tiny(model))
    folder = ModelFolder(tmp_path)
    opened = check_weights(folder)
    check_finite(opened, [(part, name) for part, each in opened.items() for name in each.entries])
    load_tokenizers(folder)
    weight = opened["unet"].read("mid_block.resnets.0.conv1.weight")
    assert weight.dtype == np.float16
    assert weight.std() == pytest.approx((9 * weight.shape[1]) ** -0.5, rel=0.02)
    rows = weight.reshape(len(weight), -1)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_the_memory_of_a_process_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    drawing = draw(["--version"])
    assert capfd.readouterr().out.strip()
    assert (drawing.status, drawing.seconds > 0) == (0, True)
    assert 10e6 < drawing.peak < 10e9
    assert draw(["nosuch"]).status == 2


def test_pytorchs_image_is_timed_as_often_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a stand-in for PyTorch, of which the clock needs next to nothing."""
    torch = SimpleNamespace(no_grad=lambda: lambda function: function)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.delitem(sys.modules, "tools.full_size.peers", raising=False)
    peers = importlib.import_module("tools.full_size.peers")
    monkeypatch.delitem(sys.modules, "tools.full_size.peers")
    calls: list[float] = []
    monkeypatch.setattr(peers, "time", SimpleNamespace(perf_counter=lambda: sum(calls)))
    # The first is not counted; the rest take 1 to 20 seconds.
    seconds = peers._wall_seconds(lambda: calls.append(len(calls)))
    assert (len(calls), seconds) == (21, 10.5)


def test_the_cost_of_a_control_network_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(__file__).parents[2] / "models" / "emoji"
    control.main(["--folder", str(folder), "--size", "64", "--device", "cpu"])
    alone, led, share = re.findall(r"(-?[\d.]+) (?:ms|of a call)", capsys.readouterr().out)
    assert float(led) > 0 < float(alone)
    assert float(share) == pytest.approx(float(led) / float(alone) - 1, abs=0.01)


def test_a_lora_is_measured_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(__file__).parents[2] / "models" / "emoji"
    lora.main(["--folder", str(folder), "--size", "64", "--rank", "2", "--device", "cpu"])
    text = capsys.readouterr().out
    assert text.count("same bits: True") == 2
    for line in ("call with a LoRA beside", "switch to a LoRA", "merge a LoRA", "take it out"):
        assert re.search(rf"^{line}.*: [\d.]+ ms", text, re.MULTILINE), line
