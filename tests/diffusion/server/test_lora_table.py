"""What the server tells of LoRAs: their words, and why a model cannot draw with one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints.safetensors import save_safetensors
from diffusion.server.adapters import LoraTable
from tests.diffusion.server.live_server import run_on_thread

UNET = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0"
WIDE = f"{UNET}_attn2_to_k.lora_down.weight"
SELF = f"{UNET}_attn1_to_k.lora_down.weight"


def write(folder: Path, name: str, tensor: str, width: int, **notes: str) -> None:
    file = folder / f"{name}.safetensors"
    save_safetensors(file, {tensor: np.zeros((2, width), np.float32)}, notes)


def test_a_lora_tells_which_models_it_fits(tmp_path: Path) -> None:
    """The bundled model reads text of 128. A file without cross-attention may fit."""
    write(tmp_path, "own", WIDE, 128)
    write(tmp_path, "large", WIDE, 2048)
    write(tmp_path, "odd", WIDE, 7)
    write(tmp_path, "unknown", SELF, 320)
    (tmp_path / "broken.safetensors").write_bytes(b"<html>")
    with run_on_thread(tmp_path / "out", loras=tmp_path) as live:
        answer = live.get("/api/v1/loras", params={"model": "emoji"})
        rows = {each["name"]: each["problem"] for each in answer.json()["loras"]}
        assert (rows["own"], rows["unknown"]) == (None, None)
        assert rows["large"] == "it was made for Stable Diffusion XL"
        assert rows["odd"] == "it was made for a model of another family"
        assert "web page" in rows["broken"]
        assert str(tmp_path) not in answer.text
        assert live.get("/api/v1/loras", params={"model": "no"}).status_code == 422


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({"ss_tag_frequency": json.dumps({"a": {"x": 1, "y": 5}, "b": {"x": 9}})}, ["x", "y"]),
        (
            {"modelspec.trigger_phrase": "ohwx", "ss_tag_frequency": '{"a": {"ohwx": 1}}'},
            ["ohwx"],
        ),
        ({"ss_tag_frequency": '{"a": {"x": "9", "y": 1, "": 3, "' + "z" * 200 + '": 4}}'}, ["y"]),
        ({"ss_tag_frequency": "[" * 100_000}, []),
        ({"ss_tag_frequency": '{"a": {"x": ' + "9" * 5000 + "}}"}, []),
        ({"ss_tag_frequency": "[1]"}, []),
        ({"ss_tag_frequency": "null"}, []),
        ({}, []),
    ],
)
def test_the_words_of_training_are_read(
    tmp_path: Path, notes: dict[str, str], words: list[str]
) -> None:
    write(tmp_path, "one", WIDE, 768, **notes)
    (entry,) = asyncio.run(LoraTable(tmp_path).entries())
    assert list(entry.words) == words
