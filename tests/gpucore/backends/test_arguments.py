"""Fake libraries take what ctypes takes, and no more."""

from __future__ import annotations

import ctypes as c
from typing import Any

import pytest

from gpucore.backends.cuda.driver import CudaDriver
from gpucore.backends.hip.driver import HipDriver
from tests.gpucore.backends.cuda.fake_cuda import FakeDriverLibrary
from tests.gpucore.backends.hip.host_hip import HostDriver


@pytest.mark.parametrize(
    ("library", "name"),
    [
        (FakeDriverLibrary(), CudaDriver.entries["create_stream"].name),
        (HostDriver(), HipDriver.entries["create_stream"].name),
    ],
    ids=["cuda", "hip"],
)
def test_wrong_arguments_are_refused(library: Any, name: str) -> None:
    function, stream = getattr(library, name), c.c_void_p()
    assert function(c.byref(stream), 1) == 0
    for wrong in ((c.byref(stream),), (c.byref(stream), 1, None)):
        with pytest.raises(AssertionError, match=f"{name} has 2 parameters"):
            function(*wrong)
    for wrong in ((c.byref(stream), 1.5), (c.byref(stream), None), (1.5, 1)):
        with pytest.raises(AssertionError, match=f"{name}, argument [01]: "):
            function(*wrong)
