"""Latents at another size, against PyTorch's ``interpolate``."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.tasks.resampling import KERNELS as OURS
from diffusion.tasks.resampling import resample, weights
from gpucore import Device
from tests.goldens.loader import channels_last, load
from tests.goldens.task_cases import KERNELS, RESAMPLED, resampling_input


def test_every_kernel_has_a_golden() -> None:
    assert tuple(OURS) == KERNELS


@pytest.mark.parametrize("size", RESAMPLED, ids=lambda size: "{}x{}".format(*size))
@pytest.mark.parametrize("kernel", KERNELS)
def test_like_pytorch(device: Device, kernel: str, size: tuple[int, int]) -> None:
    """Two products of at most 9 terms below 4 in f32: 9·4·2⁻²⁴ each, some 5e-6 in all."""
    x = device.buffer_from_array(channels_last(resampling_input()))
    found = resample(x, size, kernel).read()
    expected = channels_last(load("tasks")[f"resample/{kernel}/{size[0]}x{size[1]}"])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_weights_sum_to_one(kernel: str) -> None:
    for source, target in ((1, 1), (1, 5), (7, 7), (8, 13), (96, 31)):
        matrix = weights(kernel, source, target)
        assert matrix.shape == (target, source)
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-12)
        if source == target:
            np.testing.assert_allclose(matrix, np.eye(source), atol=1e-12)


def test_an_unknown_kernel() -> None:
    with pytest.raises(SettingsError, match="kernel"):
        weights("lanczos", 4, 8)
