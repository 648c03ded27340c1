"""The type checker rejects a buffer of one dtype where another is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="mypy is in the test extra")

ROOT = Path(__file__).parents[2]
PREAMBLE = """\
from gpucore import Buffer, Device, f32, i32

def wants_integers(ids: Buffer[i32]) -> None: ...
def wants_floats(values: Buffer[f32]) -> None: ...

device = Device.auto()
floats = device.buffer(f32, (4,))
integers = device.buffer(i32, (4,))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def check(snippet: str, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run `mypy --strict` on the snippet; return what it prints."""
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    file = folder / "snippet.py"
    file.write_text(PREAMBLE + snippet, encoding="utf-8")
    options = ["--strict", "--no-pretty", "--follow-imports=silent"]
    places = [f"--cache-dir={cache}", f"--config-file={ROOT / 'pyproject.toml'}"]
    output, errors, _ = api.run([*options, *places, str(file)])
    assert errors == ""
    return output


RIGHT = """\
import numpy as np
from numpy.typing import NDArray
from gpucore import Devices, Event, Kernel, Stream
from gpucore.testing import GuardedBuffer, assert_allclose, guarded_buffer
from gpucore.testing import on_all_devices, poisoned_buffer

wants_integers(integers)
wants_floats(floats.view((2, 2)))
wants_floats(floats.to(device))
wants_floats(device.buffer_from_array(np.zeros(3, np.float32)))
wants_integers(device.buffer_from_array([1, 2], i32))
wants_floats(poisoned_buffer(device, f32, 3))
guard: GuardedBuffer[i32] = guarded_buffer(device, i32, 3)
wants_integers(guard.buffer)
assert_allclose(floats, np.zeros(4), rtol=1e-6)
with device.new_stream() as stream:
    event: Event = device.new_event(timing=True).record(stream)
stream.wait(event)
seconds: float = event.seconds_since(event)
devices: Devices = Devices.all()
parts: list[Buffer[f32]] = devices.split_buffer(floats)
lengths: list[int] = devices.parallel_execute(len, parts)
whole: NDArray[np.float32] = devices.gather(parts)

wants_floats(floats + floats)
wants_floats(1 - floats * 2 ** floats // 3)
wants_floats(floats + 0.5)
wants_floats(floats / 2.5)
wants_floats(-floats[1:])
wants_floats(floats.reshape(2, -1).T.ravel())
wants_floats(floats[floats > 0.5])
wants_floats(floats + np.ones(4, np.float32))
wants_floats(np.float32(2) * floats)
wants_floats(integers.astype(f32))
wants_floats(integers / 2)
wants_integers(integers & 3 | integers << 1)
wants_integers(floats.argmax(axis=0))
total: float = float(floats.sum(axis=0, keepdims=True))
floats += 1
floats[1:] = floats[:-1]
floats[...] = 0.5
same: bool = bool((floats == floats).all())
rows: list[Buffer[f32]] = list(floats)

async def waits(kernel: Kernel) -> Kernel:
    await event
    await device.synchronize_async()
    array = await floats.read_async(out=np.zeros(4, np.float32))
    assert array is not None
    return await kernel

@on_all_devices
def test(device: Device) -> None: ...
"""


def test_right_dtypes_pass(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = check(RIGHT, tmp_path, cache, monkeypatch)
    assert output.startswith("Success"), output


@pytest.mark.parametrize(
    ("snippet", "given", "wanted"),
    [
        ("wants_integers(floats)", "f32", "i32"),
        ("wants_floats(integers)", "i32", "f32"),
        ("wants_integers(floats.view((4,)))", "f32", "i32"),
        ("floats.copy_from(integers)", "i32", "f32"),
        ("wants_integers(floats + floats)", "f32", "i32"),
        ("wants_floats(integers[1:])", "i32", "f32"),
        ("wants_floats(1 + integers)", "i32", "f32"),
        ("wants_floats(integers.T)", "i32", "f32"),
        ("wants_integers(floats > 1)", "u8", "i32"),
        ("same = floats.astype(f32)\nwants_integers(same)", "f32", "i32"),
        ("wants_integers(floats.to(device))", "f32", "i32"),
        ("wants_integers(Devices.all().split_buffer(floats)[0])", "f32", "i32"),
        ("poison = poisoned_buffer(device, f32, 3)\nwants_integers(poison)", "f32", "i32"),
        ("guard = guarded_buffer(device, i32, 3)\nwants_floats(guard.buffer)", "i32", "f32"),
    ],
)
def test_wrong_dtypes_are_rejected(
    snippet: str,
    given: str,
    wanted: str,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imports = (
        "from gpucore import Devices\nfrom gpucore.testing import guarded_buffer, poisoned_buffer\n"
    )
    output = check(f"{imports}{snippet}\n", tmp_path, cache, monkeypatch)
    assert f'has incompatible type "Buffer[{given}]"; expected "Buffer[{wanted}]"' in output, output
