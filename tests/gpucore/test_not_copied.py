"""Copying and pickling of buffers, devices and their objects."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpucore import Device, ReleasedBufferError, f32
from tests.gpucore.kernels import INCREMENT


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_buffer_has_memory_of_its_own(
    device: Device, copied: Callable[[Any], Any]
) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    buffer = device.buffer_from_array(array)
    other = copied(buffer)
    other.write(array + 1)
    np.testing.assert_array_equal(buffer.read(), array)
    np.testing.assert_array_equal(other.read(), array + 1)
    assert (other.device, other.dtype) == (device, f32)
    held = copied({"weights": buffer})["weights"]
    assert (held is buffer) == (copied is copy.copy)
    buffer.release()
    with pytest.raises(ReleasedBufferError, match="was released"):
        copied(buffer)


def test_an_empty_buffer_is_copied(device: Device) -> None:
    assert copy.deepcopy(device.buffer(f32, (0, 3))).shape == (0, 3)


def belonging() -> dict[str, Any]:
    device = Device.null()
    with device.capture() as graph:
        pass
    kernel = device.compile_kernel(INCREMENT)
    stream = device.new_stream()
    return {
        "Device": device,
        "Kernel": kernel,
        "Graph": graph,
        "Stream": stream,
        "Event": device.new_event(),
    }


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["Device", "Kernel", "Graph", "Stream", "Event"])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_belongs_to_a_device_is_not_copied(
    kind: str, copied: Callable[[Any], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TypeError, match=rf"^{kind}\(.* belongs to a device of this process; "):
        copied(belonging()[kind])
    gc.collect()
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_buffer_is_not_pickled(capfd: pytest.CaptureFixture[str]) -> None:
    buffer = Device.null().buffer(f32, 3)
    with pytest.raises(TypeError, match=r"pickle buffer\.read\(\), and upload it with"):
        pickle.dumps(buffer)
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_a_device_is_opened_elsewhere_as_its_error_says(device: Device) -> None:
    """The error names the adapter itself: ``device.backend`` could be either of two equal cards."""
    for each in (device, Device.null()):
        with pytest.raises(TypeError, match=r"device\.info, and open it .* Device\.open\(info\)"):
            pickle.dumps(each)
        other = Device.open(pickle.loads(pickle.dumps(each.info)))
        assert other.info == each.info
        other.close()
