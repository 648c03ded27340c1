"""Files that are no upscalers, damaged ones, and hostile ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints.safetensors import save_safetensors
from diffusion.checkpoints.upscalers import open_upscaler
from diffusion.errors import ModelError, ModelFormatError, ModelMismatchError
from tests.diffusion.upscaling.upscaler_files import tensors_of, write_upscaler
from tests.goldens.weights import Array

ONE = np.zeros((1, 1, 3, 3), np.float32)


def saved(folder: Path, tensors: dict[str, Array], name: str = "file.safetensors") -> Path:
    path = folder / name
    save_safetensors(path, tensors, {})
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conv_first.weight": np.zeros((16, 5, 3, 3), np.float32)}, "3 colours"),
        ({"conv_first.weight": np.zeros((16, 27, 3, 3), np.float32)}, "3, 12 or 48"),
        ({"conv_first.weight": np.zeros((16, 3), np.float32)}, "4 axes"),
        ({"conv_last.weight": np.zeros((1, 16, 3, 3), np.float32)}, "3 colours"),
        ({"conv_first.weight": np.zeros((0, 3, 3, 3), np.float32)}, "channels"),
        ({f"conv_up{n}.weight": ONE for n in range(1, 9)}, "scale: must be 1 to 8"),
        ({"body.999.rdb1.conv1.weight": ONE}, "blocks: must be 1 to 128"),
    ],
)
def test_wrong_sizes_are_refused(tmp_path: Path, change: dict[str, Array], reason: str) -> None:
    plain = {key.removeprefix("params_ema."): each for key, each in tensors_of("x4").items()}
    with pytest.raises(ModelFormatError, match=reason):
        open_upscaler(saved(tmp_path, plain | change))


@pytest.mark.parametrize("name", ["x4", "x4_old", "general", "x1_unshuffled", "plus"])
def test_missing_and_unknown_tensors_are_named(tmp_path: Path, name: str) -> None:
    tensors = tensors_of(name)
    lost = sorted(tensors)[len(tensors) // 2]
    less = {key: each for key, each in tensors.items() if key != lost}
    with pytest.raises(ModelError):
        open_upscaler(saved(tmp_path, less))
    wrapper = "params_ema." if name == "x4" else ""
    with pytest.raises(ModelMismatchError, match="has unknown 'strange"):
        open_upscaler(saved(tmp_path, tensors | {f"{wrapper}strange.weight": ONE}))
    whole = {key: each.astype(np.int32) for key, each in tensors.items()}
    with pytest.raises(ModelMismatchError, match="wrong type"):
        open_upscaler(saved(tmp_path, whole))  # type: ignore[arg-type]


def test_averaged_weights_are_the_best(tmp_path: Path) -> None:
    ema = tensors_of("x4")
    both = ema | {key.replace("params_ema.", "params."): each * 0 for key, each in ema.items()}
    opened = open_upscaler(saved(tmp_path, both))
    np.testing.assert_array_equal(
        opened.weights.read("conv_first.weight"), ema["params_ema.conv_first.weight"]
    )


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["layers.0.residual_group.blocks.0.norm1.weight", "conv_first.weight"], "SwinIR"),
        (["before_RG.1.weight", "conv_first.weight"], "DAT"),
        (["stylegan_decoder.style_mlp.1.weight"], "face restorer"),
        (["lora_unet_x.lora_up.weight"], "a LoRA"),
        (["x"], "unknown kind"),
    ],
)
def test_other_networks_are_named(tmp_path: Path, names: list[str], kind: str) -> None:
    with pytest.raises(ModelFormatError, match=kind):
        open_upscaler(saved(tmp_path, dict.fromkeys(names, ONE)))


def test_an_activation_without_weights_must_be_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="relu or leakyrelu"):
        open_upscaler(write_upscaler(tmp_path, "small_leakyrelu", "small"))


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "4x.pth"
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ModelFormatError, match="avila convert"):
        open_upscaler(path)


@pytest.mark.parametrize("cut", [4, 60, 400, -1])
def test_files_that_are_cut_short_are_refused(tmp_path: Path, cut: int) -> None:
    path = write_upscaler(tmp_path, "double")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelError):
        open_upscaler(path)


def test_changed_bytes_never_crash(tmp_path: Path) -> None:
    path = write_upscaler(tmp_path, "double")
    data, draw = path.read_bytes(), np.random.default_rng(7)
    header = int.from_bytes(data[:8], "little") + 8
    for _ in range(60):
        changed = bytearray(data)
        for place in draw.integers(0, header, 3):
            changed[place] = draw.integers(0, 256)
        path.write_bytes(changed)
        try:
            open_upscaler(path)
        except ModelError:
            continue
