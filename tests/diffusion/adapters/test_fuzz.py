"""Files of every kind, made wrong in one to three ways: refused clearly, or merged and taken out.

The sound files are those that LyCORIS made of tiny layers (tools/goldens/adapters.py).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file

from diffusion.adapters import AdaptedModel, AdaptedPart, MergedAdapter, Merger, open_adapter
from diffusion.adapters.adapter import Parameter
from diffusion.adapters.module_spellings import AdaptedModule
from diffusion.adapters.rank_bank import RankBank, bank_layers, is_low_rank, size_of
from diffusion.checkpoints import Weights
from diffusion.errors import DiffusionError, MisfitError
from diffusion.models import module
from diffusion.models.layers import Conv2d, GroupNorm, Linear
from diffusion.models.module import Module
from gpucore import Device, f32
from tests.diffusion.adapters.device_weights import device_weights
from tests.draws import draws
from tests.goldens.loader import load

Array = NDArray[Any]
Tensors = dict[str, Array]
Mutation = Callable[[Tensors, str, st.DataObject], object]

GOLDEN = load("adapters")
CASES = sorted({key.split("/")[0] for key in GOLDEN if not key.startswith("unet.")})
PREFIX = "lora_unet_x."
ABSURD = [0.0, -1.0, 1e-30, 1e7, 1e38, math.nan, math.inf, -math.inf]
MOST_TEXT = 3000


class OneLayer(Module):
    """A network of one layer, ``x``, with weights as in the model's file."""

    def __init__(self, weight: Array) -> None:
        if weight.ndim == 1:
            self.x: Module = GroupNorm(1, len(weight), 1e-5)
        elif weight.ndim == 2:
            self.x = Linear(weight.shape[1], weight.shape[0])
        else:
            self.x = Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=1)


class Stored:
    """The weights of a model's file."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays

    def read(self, name: str) -> Array:
        """Return a tensor."""
        return self._arrays[name].copy()


def tensors_of(case: str) -> Tensors:
    """Return the sound tensors of a case."""
    prefix = f"{case}/tensor/"
    names = [key for key in GOLDEN if key.startswith(prefix)]
    return {PREFIX + key.removeprefix(prefix): np.array(GOLDEN[key]) for key in names}


def drop(tensors: Tensors, name: str, data: st.DataObject) -> object:
    return tensors.pop(name)


def turn_round(tensors: Tensors, name: str, data: st.DataObject) -> object:
    return tensors.update({name: tensors[name].T})


def add_axis(tensors: Tensors, name: str, data: st.DataObject) -> object:
    return tensors.update({name: tensors[name][None]})


def flatten(tensors: Tensors, name: str, data: st.DataObject) -> object:
    return tensors.update({name: tensors[name].reshape(-1)})


def empty(tensors: Tensors, name: str, data: st.DataObject) -> object:
    shape = list(tensors[name].shape) or [1]
    shape[data.draw(st.integers(0, len(shape) - 1))] = 0
    return tensors.update({name: np.zeros(shape, np.float32)})


def double(tensors: Tensors, name: str, data: st.DataObject) -> object:
    rows = np.atleast_1d(tensors[name])
    axis = data.draw(st.integers(0, rows.ndim - 1))
    return tensors.update({name: np.concatenate([rows, rows], axis)})


def retype(tensors: Tensors, name: str, data: st.DataObject) -> object:
    kind = data.draw(st.sampled_from([np.int32, np.uint8, np.bool_, np.float64, np.float16]))
    with np.errstate(all="ignore"):
        return tensors.update({name: tensors[name].astype(kind)})


def poison(tensors: Tensors, name: str, data: st.DataObject) -> object:
    changed = np.array(tensors[name], np.float32)
    if changed.size:
        changed.reshape(-1)[-1] = data.draw(st.sampled_from(ABSURD))
    return tensors.update({name: changed})


def exaggerate(tensors: Tensors, name: str, data: st.DataObject) -> object:
    with np.errstate(all="ignore"):
        return tensors.update({name: tensors[name].astype(np.float32) * np.float32(1e30)})


def set_alpha(tensors: Tensors, name: str, data: st.DataObject) -> object:
    alpha = data.draw(st.sampled_from(ABSURD))
    role = data.draw(st.sampled_from(["alpha", "scale", "on_input", "dora_scale"]))
    return tensors.update({PREFIX + role: np.array(alpha, np.float32)})


def add_names(tensors: Tensors, name: str, data: st.DataObject) -> object:
    ends = data.draw(
        st.lists(st.sampled_from(["", ".", ".weight", "..lora_up.weight", "é", "\n"]), max_size=9)
    )
    return tensors.update({f"{name}{i}{end}": np.ones(2) for i, end in enumerate(ends)})


def move(tensors: Tensors, name: str, data: st.DataObject) -> object:
    other = data.draw(st.sampled_from(sorted(tensors)))
    return tensors.update({name: tensors[other], other: tensors[name]})


def respell(tensors: Tensors, name: str, data: st.DataObject) -> object:
    end = data.draw(st.sampled_from(["lora_up.weight", "lora_down.weight", "hada_w1_a", "diff"]))
    return tensors.update({PREFIX + end: tensors.pop(name)})


MUTATIONS: list[Mutation] = [
    drop,
    turn_round,
    add_axis,
    flatten,
    empty,
    double,
    retype,
    poison,
    exaggerate,
    set_alpha,
    add_names,
    move,
    respell,
]


def check_file(device: Device, case: str, tensors: Tensors) -> None:
    """Open a file and merge it; every error is one of ours, and leaves nothing."""
    weight = np.array(GOLDEN[f"{case}/weight"], np.float32)
    arrays = {"x.weight": weight, "x.bias": np.zeros(len(weight), np.float32)}
    network, stored = OneLayer(weight), Stored(arrays)
    module.load(network, stored.read, device, f32)
    before = device_weights(network)
    shapes = {Parameter("unet", name): array.shape for name, array in arrays.items()}
    spellings = {PREFIX.removesuffix("."): AdaptedModule("unet", "x")}
    parts = {"unet": AdaptedPart(network, cast(Weights, stored), f32)}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.safetensors"
        save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, path)
        held = device.pool.stats.live
        try:
            adapter = open_adapter(path, AdaptedModel(spellings, shapes, 64))
        except DiffusionError as error:
            _check_error(error)
            assert device.pool.stats.live <= held  # nothing is uploaded
            return
        chosen, merger = [MergedAdapter(adapter, 1.0, 1.0)], Merger(device, parts)
        layers = bank_layers(parts)
        try:
            if is_low_rank(chosen, layers) and size_of(chosen, layers).layers:
                bank = RankBank.make(device, parts, size_of(chosen, layers), 1)
                bank.fill(0, chosen)
            merger.merge(chosen)
            merger.merge([])
        except DiffusionError as error:
            _check_error(error)
    for old, new in zip(before, device_weights(network), strict=True):
        np.testing.assert_array_equal(old, new)


def _check_error(error: DiffusionError) -> None:
    """Check that an error is not one for our own use, and names some tensors, not all."""
    assert not isinstance(error, MisfitError)
    assert 20 < len(str(error)) < MOST_TEXT


def fuzz(device: Device, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(CASES))
    tensors = tensors_of(case)
    for _ in range(data.draw(st.integers(1, 3))):
        if tensors:
            name = data.draw(st.sampled_from(sorted(tensors)))
            data.draw(st.sampled_from(MUTATIONS))(tensors, name, data)
    check_file(device, case, tensors)


@settings(max_examples=draws(40), deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(st.data())
def test_wrong_files_are_refused_or_merged(device: Device, data: st.DataObject) -> None:
    fuzz(device, data)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(st.data())
def test_many_wrong_files(device: Device, data: st.DataObject) -> None:
    fuzz(device, data)


@pytest.mark.parametrize("case", CASES)
def test_sound_files_are_opened(device: Device, case: str) -> None:
    """Else the mutations would be of files that are refused anyway."""
    check_file(device, case, tensors_of(case))
    weight = GOLDEN[f"{case}/weight"]
    shapes = {
        Parameter("unet", "x.weight"): weight.shape,
        Parameter("unet", "x.bias"): (len(weight),),
    }
    spellings = {PREFIX.removesuffix("."): AdaptedModule("unet", "x")}
    with tempfile.TemporaryDirectory() as place:
        save_file(tensors_of(case), Path(place) / "a.safetensors")
        model = AdaptedModel(spellings, shapes, 64)
        assert open_adapter(Path(place) / "a.safetensors", model).changes


@pytest.mark.parametrize("case", ["lokr_tucker.conv", "locon_tucker.conv", "oft_inputs.linear"])
def test_products_beyond_f32_are_told_and_warn_of_nothing(device: Device, case: str) -> None:
    """Of factors that are multiplied on the host, found by the draws above."""
    tensors = tensors_of(case)
    for name in tensors:
        if not name.endswith("alpha"):
            tensors[name] = tensors[name] * np.float32(1e30)
    check_file(device, case, tensors)
