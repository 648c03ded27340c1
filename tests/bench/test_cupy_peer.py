"""CuPy beside us, by a stand-in that computes with NumPy: there is no card here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest

from bench.__main__ import entries
from bench.cupy_peer import CupyPeer, find_cupy, scipy_part
from bench.entry import Entry
from bench.measure import Peers, measure_entry
from bench.roofs import Roofs
from gpucore import Device

MILLISECONDS = 3.0
PACKAGES = ("arrays", "image", "linalg", "signal")
FOUND = [e for e in entries(PACKAGES, Device.null()) if e.cpu and e.cupy is not None]


class Stream:
    """A stream that records calls during a capture; an open capture refuses to wait."""

    def __init__(self, log: list[str], *, refuses: bool) -> None:
        self.log, self.refuses, self.open = log, refuses, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin_capture(self) -> None:
        self.open = True

    def is_capturing(self) -> bool:
        return self.open

    def end_capture(self) -> SimpleNamespace:
        self.open = False
        self.log.append("ended")
        if self.refuses:
            raise RuntimeError("an invalid capture")
        return SimpleNamespace(launch=lambda stream: self.log.append("launched"))


class Cupy:
    """NumPy's functions, and the other parts of CuPy that `CupyPeer` uses."""

    __name__ = "numpy"

    def __init__(self, *, refuses: bool = False) -> None:
        self.log: list[str] = []
        stream = Stream(self.log, refuses=refuses)
        event = SimpleNamespace(record=lambda stream: None, synchronize=lambda: None)
        self.cuda = SimpleNamespace(
            Stream=lambda non_blocking: stream,
            Event=lambda: event,
            get_current_stream=lambda: stream,
            get_elapsed_time=lambda begin, end: MILLISECONDS,
        )
        cache = SimpleNamespace(clear=lambda: self.log.append("plans"))
        self.fft = SimpleNamespace(config=SimpleNamespace(get_plan_cache=lambda: cache))
        self.asarray = np.array
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        if name.startswith("get_default"):
            return lambda: SimpleNamespace(free_all_blocks=lambda: self.log.append("freed"))
        return getattr(np, name)


class FixedRoofs(Roofs):
    """1e12 FLOP/s and 1e9 bytes/s, with nothing measured."""

    def __init__(self) -> None:
        self.copies = {"Avila": 1e9}
        self.products = {"f16": {"Avila": 1e12}, "f32": {"Avila": 1e12}}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cuda_peer._BUSY_S", 0.0)


def flat(result: Any) -> list[Any]:
    """Return the arrays of a result, which may be a tuple or a list."""
    if isinstance(result, (tuple, list)):
        return list(itertools.chain.from_iterable(map(flat, result)))
    return [np.asarray(result)]


@pytest.mark.parametrize("entry", FOUND, ids=lambda e: e.name)
def test_what_cupy_gets_is_what_numpy_computes(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    scipy_fft = pytest.importorskip("scipy.fft")
    monkeypatch.setattr(scipy_fft, "get_fft_plan", lambda x, axes, value_type: None, raising=False)
    assert entry.cupy is not None
    assert entry.numpy is not None
    for mine, theirs in zip(flat(entry.cupy(Cupy())()), flat(entry.numpy()), strict=True):
        assert mine.shape == theirs.shape
        # SciPy's transforms are in f32 and NumPy's in f64; all else is the same call.
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=2.0**-18 * np.abs(theirs).max())


def test_goals_beside_cupy_have_it() -> None:
    expected = {"sort", "argsort", "cumsum", "fft", "svd", "qr", "cholesky", "gemv", "dot", "add"}
    names = {e.name.split()[0] for e in entries(PACKAGES, Device.null()) if e.cupy and e.target}
    assert names >= expected


def time_calls(cupy: Cupy, make: Callable[[Any], Callable[[], object]]) -> tuple[float, bool]:
    return CupyPeer(cupy).time_calls(make)


def test_a_graph_of_calls_is_replayed_and_memory_given_back() -> None:
    cupy, calls = Cupy(), itertools.count()
    seconds, replayed = time_calls(cupy, lambda module: lambda: next(calls))
    # Of 3 ms a call, 2 make a sample of 5 ms.
    assert (seconds, replayed) == (pytest.approx(MILLISECONDS / 2e3), True)
    assert next(calls) == 3 + 3 + 2
    assert cupy.log.count("launched") >= 20
    assert cupy.log[-3:] == ["plans", "freed", "freed"]


def test_what_refuses_capture_is_called_as_it_is() -> None:
    cupy, calls = Cupy(refuses=True), itertools.count()

    def call() -> None:
        next(calls)
        if cupy.stream.open:
            raise NotImplementedError("no capture")

    seconds, replayed = time_calls(cupy, lambda module: call)
    assert (seconds, replayed) == (pytest.approx(MILLISECONDS / 2e3), False)
    assert cupy.log.count("launched") == 0
    assert "ended" in cupy.log
    assert next(calls) >= 3 + 3 + 20 * 2


@pytest.mark.parametrize(("refuses", "name"), [(False, "CuPy"), (True, "CuPy eager")])
def test_a_row_names_the_peer_and_how_it_was_called(refuses: bool, name: str) -> None:
    device = Device.null()
    entry = next(e for e in FOUND if e.name.startswith("dot"))
    row = measure_entry(device, entry, FixedRoofs(), Peers(cupy=CupyPeer(Cupy(refuses=refuses))))
    assert row.peers.keys() == {name, "NumPy"}
    assert row.ratio == min(row.peers.values()) / row.seconds


def test_sorts_that_wait_are_not_captured() -> None:
    sorts = [e for e in FOUND if e.name.startswith(("sort", "argsort"))]
    assert len(sorts) >= 4
    for entry in sorts:
        assert entry.cupy is not None
        assert not time_calls(Cupy(), entry.cupy)[1]


def test_there_is_no_cupy_for_a_device_that_is_no_cuda_card() -> None:
    assert find_cupy(Device.null()) is None


def test_scipy_stands_beside_the_module() -> None:
    pytest.importorskip("scipy")
    assert scipy_part(np, "linalg").__name__ == "scipy.linalg"
    with pytest.raises(ImportError):
        scipy_part(SimpleNamespace(__name__="cupy"), "no_such_part")
