"""The shapes of the full-size models fit each other, and their names the benchmark's goals."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import pytest

from bench.models import GOALS, decoded_sizes, image_row, unet_row, vae_row
from tools.full_size.models import MODELS, Model

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
