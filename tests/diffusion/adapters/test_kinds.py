"""Each kind of adapter against LyCORIS: merged weights of tiny layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from diffusion.adapters.adapter import Change
from diffusion.adapters.decomposition import MAGNITUDE, check_magnitude
from diffusion.adapters.kinds import find_kind
from diffusion.adapters.tensor_group import TensorGroup, upload
from diffusion.adapters.tensor_roles import split_role
from diffusion.checkpoints.safetensors import open_safetensors
from gpucore import Device
from tests.goldens.loader import load, relative_error

pytestmark = pytest.mark.sampled

GOLDEN = load("adapters")
CASES = sorted({key.split("/")[0] for key in GOLDEN if not key.startswith("unet.")})
BIASES = ("diff_b", "b_norm")


def change_of(case: str, folder: Path, *, bias: bool, shape: tuple[int, ...]) -> Change:
    """Return the change that a golden file's tensors make to a weight or a bias."""
    prefix = f"{case}/tensor/"
    tensors = {
        f"lora_unet_x.{key.removeprefix(prefix)}": np.ascontiguousarray(value)
        for key, value in GOLDEN.items()
        if key.startswith(prefix)
    }
    save_file(tensors, folder / "a.safetensors")
    file = open_safetensors(folder / "a.safetensors")
    roles = {}
    for name in file.names:
        split = split_role(name)
        assert split is not None
        assert split.module == "lora_unet_x"
        if (split.role in BIASES) == bias:
            roles[split.role] = name
    group = TensorGroup(file, roles, shape)
    kind = find_kind(group)
    assert kind is not None
    group.check_types()
    kind.check(group)
    if MAGNITUDE in group:
        check_magnitude(group)
    return Change(kind, group)


@pytest.mark.parametrize("case", CASES)
def test_merged_weights_agree_with_lycoris(device: Device, case: str, tmp_path: Path) -> None:
    for name in ("weight", "bias"):
        if f"{case}/{name}" not in GOLDEN:
            continue
        weight = GOLDEN[f"{case}/{name}"]
        merged = "merged" if name == "weight" else "merged_bias"
        change = change_of(case, tmp_path, bias=name == "bias", shape=weight.shape)
        flat = upload(device, weight.reshape(len(weight), -1))
        found = change.apply(flat, 1.0).read().reshape(weight.shape)
        difference = GOLDEN[f"{case}/{merged}"] - weight
        # Weights are near 1 and the least differences 0.005: rounding them is 1e-5 of those.
        assert relative_error(found - weight, difference) < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_strength_leads_from_the_old_weight(device: Device, case: str, tmp_path: Path) -> None:
    weight = GOLDEN[f"{case}/weight"]
    change = change_of(case, tmp_path, bias=False, shape=weight.shape)
    flat = upload(device, weight.reshape(len(weight), -1))
    old = change.apply(flat, 0.0).read().reshape(weight.shape)
    half = change.apply(flat, 0.5).read().reshape(weight.shape)
    whole = change.apply(flat, 1.0).read().reshape(weight.shape)
    assert relative_error(old, weight) < 1e-6
    if not case.startswith(("boft", "oft_constrained")):  # stages, or factors beside rotations
        assert relative_error(half, (weight + whole) / 2) < 1e-6


def test_scaled_rotations_of_inputs_are_smaller(device: Device, tmp_path: Path) -> None:
    """OneTrainer's scaled form divides what the file has by 2 sqrt(size - 1), size being 4 here."""
    weight = GOLDEN["oft_inputs.linear/weight"]
    triangles = GOLDEN["oft_inputs.linear/tensor/oft_R.weight"]
    tensors = {
        "x.oft_R.weight": (triangles * (2 * np.sqrt(3))).astype(np.float32),
        "x.oft_R.scaled_oft": np.array(True),
    }
    save_file(tensors, tmp_path / "a.safetensors")
    roles = {"oft_R": "x.oft_R.weight", "scaled_oft": "x.oft_R.scaled_oft"}
    group = TensorGroup(open_safetensors(tmp_path / "a.safetensors"), roles, weight.shape)
    kind = find_kind(group)
    assert kind is not None
    group.check_types()
    kind.check(group)
    merged = Change(kind, group).apply(upload(device, weight), 1.0).read()
    assert relative_error(merged, GOLDEN["oft_inputs.linear/merged"]) < 1e-6


@pytest.mark.parametrize("outputs", [True, False])
@pytest.mark.parametrize(
    "case", ["oft.linear", "oft.conv", "boft.linear", "oft_inputs.conv", "glora.linear"]
)
def test_magnitudes_scale_what_rotates(
    device: Device, case: str, outputs: bool, tmp_path: Path
) -> None:
    """DoRA beside OFT, BOFT and GLoRA, as ComfyUI reads it: the change of LyCORIS, then norms."""
    weight, whole = GOLDEN[f"{case}/weight"], GOLDEN[f"{case}/merged"]
    axes = tuple(axis for axis in range(weight.ndim) if axis != (0 if outputs else 1))
    norms = np.sqrt((whole.astype(np.float64) ** 2).sum(axes, keepdims=True))
    magnitudes = np.linspace(0.5, 2, norms.size).reshape(norms.shape).astype(np.float32)
    plain = change_of(case, tmp_path, bias=False, shape=weight.shape).group
    tensors = {name: plain.file.read(name) for name in plain.names.values()}
    save_file(tensors | {"lora_unet_x.dora_scale": magnitudes}, tmp_path / "b.safetensors")
    roles = {**plain.names, MAGNITUDE: "lora_unet_x.dora_scale"}
    group = TensorGroup(open_safetensors(tmp_path / "b.safetensors"), roles, weight.shape)
    kind = find_kind(group)
    assert kind is not None
    check_magnitude(group)
    found = Change(kind, group).apply(upload(device, weight.reshape(len(weight), -1)), 1.0)
    assert relative_error(found.read().reshape(weight.shape), whole / norms * magnitudes) < 1e-4


def test_a_whole_weight_takes_the_place_of_the_models(device: Device, tmp_path: Path) -> None:
    """`set_weight` of ComfyUI."""
    rng = np.random.default_rng(0)
    old, new = rng.standard_normal((2, 3, 4, 3, 3), np.float32)
    save_file({"x.set_weight": new}, tmp_path / "a.safetensors")
    file = open_safetensors(tmp_path / "a.safetensors")
    split = split_role("x.set_weight")
    assert split is not None
    group = TensorGroup(file, {split.role: "x.set_weight"}, old.shape)
    kind = find_kind(group)
    assert kind is not None
    kind.check(group)
    for strength in (1.0, 0.25):
        found = Change(kind, group).apply(upload(device, old.reshape(3, -1)), strength).read()
        expected = old + strength * (new - old)
        assert relative_error(found.reshape(old.shape), expected) < 1e-6
