"""The examples in gpucore's docstrings run, on the device that computes nothing."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import gpucore
from gpucore import Device
from tests.gpucore.kernels import AFFINE, INCREMENT

MODULES = [info.name for info in pkgutil.walk_packages(gpucore.__path__, "gpucore.")]
WITH_EXAMPLES = {
    "gpucore.buffer",
    "gpucore.copying",
    "gpucore.device",
    "gpucore.devices",
    "gpucore.integers",
    "gpucore.recording.event",
    "gpucore.recording.graph",
    "gpucore.kernel",
    "gpucore.kernels.decorator",
    "gpucore.kernels.python_kernel",
    "gpucore.language.atomics",
    "gpucore.language.device_functions",
    "gpucore.language.operations",
    "gpucore.language.vector_functions",
    "gpucore.memory.pool",
    "gpucore.per_device",
    "gpucore.recording.profile",
    "gpucore.recording.stream",
    "gpucore.sanitizer.switch",
    "gpucore.testing",
}


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples_run(name: str) -> None:
    names = {
        "device": Device.null(),
        "np": np,
        "f32": gpucore.f32,
        "AFFINE": AFFINE,
        "INCREMENT": INCREMENT,
    }
    result = doctest.testmod(importlib.import_module(name), extraglobs=names)
    assert result.failed == 0
    assert (result.attempted > 0) >= (name in WITH_EXAMPLES)
