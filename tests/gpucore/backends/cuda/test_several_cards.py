"""Several cards in one process, on a fake driver that keeps their contexts and streams apart."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpucore import Device, DeviceLostError, DeviceNotFoundError, f32
from gpucore.adapters import names_of_equals
from gpucore.backends.cuda import cards
from gpucore.backends.cuda.compiler import CudaCompiler
from gpucore.backends.cuda.driver import CudaDriver
from tests.gpucore.backends.cuda.fake_cuda import FakeCompilerLibrary, FakeDriverLibrary
from tests.gpucore.kernels import INCREMENT
from tests.gpucore.losing import lose

ALL = ("first", "second", "third")
INTEGRATED = 18
CONTEXTS = 1000
"""The number of the first card's context."""


class SeveralCards(FakeDriverLibrary):
    """A driver of three cards: it shows those of CUDA_VISIBLE_DEVICES, as CUDA's does.

    A stream is used in the context that it was made in alone. ``work``: cards, by what was done.
    ``integrated``: the names of cards that are no cards of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names = list(ALL)
        self.integrated: set[str] = set()
        self.work: list[tuple[str, str]] = []
        self._current = threading.local()
        self._owners: dict[int, int] = {}

    def _init(self, flags: int) -> None:
        given = os.environ.get("CUDA_VISIBLE_DEVICES")
        if given is not None:
            self.names = [ALL[int(each)] for each in given.split(",") if each]

    def _device_get_count(self, count: Any) -> None:
        count._obj.value = len(self.names)

    def _device_get_name(self, name: Any, size: int, index: int) -> None:
        name.value = self.names[index].encode()

    def _device_get_attribute(self, value: Any, which: int, index: int) -> None:
        super()._device_get_attribute(value, which, index)
        if which == INTEGRATED:
            value._obj.value = self.names[index] in self.integrated

    def _device_primary_ctx_retain(self, context: Any, index: int) -> None:
        context._obj.value = CONTEXTS + index

    def _ctx_set_current(self, context: Any) -> None:
        self._current.context = getattr(context, "value", context)

    def _stream_create(self, stream: Any, flags: int) -> None:
        super()._stream_create(stream, flags)
        self._owners[stream._obj.value] = self._current.context

    def _note(self, what: str, stream: Any) -> None:
        owner = self._owners[getattr(stream, "value", stream)]
        assert self._current.context == owner, "the stream of another card"
        self.work.append((what, self.names[owner - CONTEXTS]))

    def _mem_alloc_async(self, address: Any, nbytes: int, stream: Any) -> None:
        self._note("allocate", stream)
        super()._mem_alloc_async(address, nbytes, stream)

    def _launch_kernel_ex(self, given: Any, function: int, pointers: Any, extra: Any) -> None:
        self._note("launch", given._obj.stream)
        super()._launch_kernel_ex(given, function, pointers, extra)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SeveralCards:
    """Return the driver that the engine finds."""
    found = SeveralCards()

    def load() -> CudaDriver:
        driver = CudaDriver(found)
        driver("init", 0)
        return driver

    monkeypatch.setenv("GPUCORE_CUDA_CACHE", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(cards, "load_driver", load)
    monkeypatch.setattr(cards, "load_compiler", lambda: CudaCompiler(FakeCompilerLibrary()))
    return found


def open_all() -> list[Device]:
    return [Device(cards.open_adapter(info)) for info in cards.adapters()]


@pytest.mark.parametrize(
    ("visible", "names"),
    [(None, ALL), ("2,0", ("third", "first")), ("1", ("second",)), ("", ())],
)
def test_the_variable_chooses_and_orders(
    library: SeveralCards,
    visible: str | None,
    names: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = cards.adapters()
    assert [(info.name, info.index) for info in found] == [(n, i) for i, n in enumerate(names)]
    devices = open_all()
    library.work.clear()
    for device in reversed(devices):
        device.buffer(f32, 4)
    assert library.work == [("allocate", name) for name in reversed(names)]
    for device in devices:
        device.close()


def test_a_name_opens_a_card_of_its_own(library: SeveralCards) -> None:
    names = ["cuda:0", "cuda:1", "cuda:2"]
    assert names_of_equals("cuda") == names_of_equals("cuda:2") == names
    assert names_of_equals() == names
    assert opened_by(library, names) == list(ALL)
    with pytest.raises(DeviceNotFoundError, match="no device fits 'cuda:3'"):
        opened_by(library, ["cuda:3"])


def test_names_count_the_best_cards_first(
    library: SeveralCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's order is another: its first card is not a card of its own."""
    library.integrated = {"first"}
    assert names_of_equals("cuda") == ["cuda:0", "cuda:1"]
    assert opened_by(library, ["cuda:0", "cuda:1", "cuda:2"]) == ["second", "third", "first"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,1")
    assert opened_by(library, names_of_equals("cuda")) == ["third", "second"]


def opened_by(library: SeveralCards, names: list[str]) -> list[str]:
    """Return the cards that names open, by where their memory is."""
    found = []
    for name in names:
        with closing(Device.by_name(name)) as device:
            library.work.clear()
            device.buffer(f32, 4)
            assert library.work == [("allocate", device.name)]
            found.append(device.name)
    return found


def test_cards_take_turns_in_one_thread(library: SeveralCards) -> None:
    """Each call enters the context of its own card."""
    devices = open_all()
    buffers = [device.buffer_from_array(np.zeros(64, np.float32)) for device in devices]
    kernels = [device.compile_kernel(INCREMENT) for device in devices]
    library.work.clear()
    for _ in range(2):
        for device, kernel, buffer in zip(devices, kernels, buffers, strict=True):
            kernel(buffer, grid=1)
            device.synchronize()
    launched = [name for what, name in library.work if what == "launch"]
    assert launched == [*ALL, *ALL]
    assert [buffer.read().tolist() for buffer in buffers] == [[0.0] * 64] * 3
    del buffers, buffer
    for device in devices:
        device.close()
    assert library.memory == {}


def test_a_lost_card_leaves_the_others(library: SeveralCards) -> None:
    first, second, third = open_all()
    lose(second)
    with pytest.raises(DeviceLostError):
        second.buffer_from_array(np.zeros(4, np.float32)).read()
    for device in (first, third):
        kept = device.buffer_from_array(np.arange(4, dtype=np.float32))
        assert kept.read().tolist() == [0, 1, 2, 3]
        del kept
    for device in (first, second, third):
        device.close()
