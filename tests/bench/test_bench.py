"""The benchmarks' entries and their runner, on the null device: no time is judged."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import OPERATIONS, entries, main, sort_entries
from bench.entry import Entry, Row, Target
from bench.machine import clocks_of, commit, description
from bench.measure import Peers, measure_entry
from bench.report import line, merge_reports
from bench.roofs import Roofs
from bench.torch_peer import TorchPeer, find_torch
from gpucore import Device, f16, f32

# Some goals on one NVIDIA H200.
GOALS = {
    "gemm 4096x4096x4096 f16": "≥ 400 TFLOP/s",
    "gemm 4096x4096x4096 f32": "≥ 43 TFLOP/s",
    "gemm 2048x5120x640 f16": "≥ 85% of peer",
    "gemm 8192x960x320 f16": "≥ 85% of peer",
    "gemm 2048x10240x1280 f16": "None",
    "conv 3x3 2x16x16x2560->1280 f16": "≥ 85% of peer",
    "conv 3x3 1x512x512x128->128 f16": "≥ 350 TFLOP/s",
    "conv 3x3 1x512x512x256->128 f16": "≥ 350 TFLOP/s",
    "add 64Mi f16": "≥ 95% of copy rate",
    "copy 128Mi f16": "≥ 95% of copy rate",
}


class FixedRoofs(Roofs):
    """1e12 FLOP/s and 1e9 bytes/s, with nothing measured."""

    def __init__(self) -> None:
        self.copies = {"Avila": 1e9}
        self.products = {"f16": {"Avila": 1e12}, "f32": {"Avila": 1e12}}


class FixedPeer(TorchPeer):
    """A peer that takes two seconds for whatever it is given."""

    def time_calls(self, make: Callable[[Any], Callable[[], object]]) -> tuple[float, bool]:
        return 2.0, True


class FailingPeer(TorchPeer):
    """A peer that has no result."""

    def time_calls(self, make: Callable[[Any], Callable[[], object]]) -> tuple[float, bool]:
        raise RuntimeError("no result")


@pytest.mark.parametrize("stem", OPERATIONS)
def test_entries_say_what_they_are(stem: str) -> None:
    found: list[Entry] = importlib.import_module(f"bench.{stem}").ENTRIES
    assert len({entry.name for entry in found}) == len(found)
    assert any(entry.cpu and not entry.f16 for entry in found), "one that runs everywhere"
    assert all(entry.bytes > 0 and entry.flops >= 0 for entry in found)
    with_peer_goal = [e for e in found if e.target is not None and e.target.kind == "of peer"]
    assert all(entry.torch is not None for entry in with_peer_goal)


def test_the_goals_have_entries() -> None:
    device = Device.null()
    found = {entry.name: str(entry.target) for entry in entries(OPERATIONS, device)}
    assert {name: found.get(name) for name in GOALS} == GOALS


def test_an_entry_is_measured_with_its_peers() -> None:
    device = Device.null()
    entry = next(e for e in entries(["gemm"], device) if e.cpu)
    row = measure_entry(device, entry, FixedRoofs(), Peers(FixedPeer(None)))
    assert row.seconds > 0
    least = max(entry.flops / 1e12, entry.bytes / 1e9)
    assert row.roof == pytest.approx(least / row.seconds)
    assert row.copy_share == pytest.approx(entry.bytes / row.seconds / 1e9)
    assert row.peers.keys() == {"NumPy", "PyTorch"}
    assert row.peers["PyTorch"] == 2
    assert row.ratio == pytest.approx(min(row.peers.values()) / row.seconds)
    assert row.name in line(row)
    assert Row.of_json(json.loads(json.dumps(asdict(row)))) == row


@pytest.mark.parametrize(
    ("kind", "value", "reached"),
    [
        ("tflops", 4, True),
        ("tflops", 4.1, False),
        ("of peer", 0.75, True),
        ("of peer", 0.76, False),
        ("of copy rate", 0.5, True),
        ("of copy rate", 0.6, False),
        ("seconds", 2, True),
        ("seconds", 1.9, False),
    ],
)
def test_a_target_is_reached_or_not(kind: Any, value: float, reached: bool) -> None:
    peers = {"PyTorch": 1.5, "NumPy": 9.0}
    row = Row("x", 2.0, 8e12, 1.0, copy_share=0.5, peers=peers, target=Target(kind, value))
    assert row.reached is reached
    assert ("reached" if reached else "missed") in line(row)


def test_a_target_beside_a_peer_that_is_not_there_is_open() -> None:
    row = Row("x", 2.0, target=Target("of peer", 0.85))
    assert row.reached is None
    assert line(row).endswith("≥ 85% of peer: unknown")
    assert Row("x", 2.0).reached is None


def test_targets_read_as_bounds() -> None:
    assert str(Target("seconds", 0.0085)) == "≤ 8.5 ms"
    assert str(Target("seconds", 25)) == "≤ 25 s"


def test_roofs_are_measured_once_and_take_the_best() -> None:
    device = Device.null()
    roofs = Roofs(device, FixedPeer(None))
    first = roofs.of(f32)
    assert (roofs.of(f32), roofs.of(f16).bytes_per_second) == (first, first.bytes_per_second)
    assert roofs.copies.keys() == roofs.products["f32"].keys() == {"Avila", "PyTorch"}
    assert first.flops_per_second == max(roofs.products["f32"].values())


def test_there_is_no_cuda_peer_of_a_device_that_is_no_cuda_card() -> None:
    assert find_torch(Device.null()) is None


def test_what_nvidia_smi_prints_is_read() -> None:
    text = "NVIDIA H200, 1980, 3201, 1980, 3201, 612.5, 700.0, 41, 143771\n"
    (card,) = clocks_of(text)
    assert (card["name"], card["clocks.sm"], card["memory.total"]) == (
        "NVIDIA H200",
        "1980",
        "143771",
    )


def git(folder: Path, *arguments: str) -> str:
    """Run git without a user's settings; return its output."""
    command = [
        "git",
        "-c",
        "user.name=n",
        "-c",
        "user.email=e",
        "-c",
        "commit.gpgsign=false",
        *arguments,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_of_a_checkout_is_read_and_tells_whether_files_differ(tmp_path: Path) -> None:
    git(tmp_path, "init")
    assert commit(tmp_path) is None, "no commit yet"
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "tag", "-a", "v1", "-m", "v1")
    short = git(tmp_path, "rev-parse", "--short", "HEAD").strip()
    assert commit(tmp_path) == short
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path) == f"{short}-dirty"
    (tmp_path / "inside").mkdir()
    assert commit(tmp_path / "inside") is None, "a copy in somebody's repository"


def test_without_git_a_description_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.commit", lambda root: "abc1234-dirty")
    assert description(Device.null())["commit"] == "abc1234-dirty"
    monkeypatch.setattr("bench.machine.commit", lambda root: None)
    assert "commit" not in description(Device.null())


def test_rows_that_are_kept_say_when_they_were_measured_and_peers_are_of_the_row() -> None:
    def result(date: str, *rows: Row, **rates: float) -> dict[str, Any]:
        return {"date": date, "rows": [asdict(r) for r in rows], "copies": rates, "products": {}}

    first = result("2026-01-01", Row("a", 3.0), Row("b", 3.0, peers={"PyTorch": 1.0}))
    second = merge_reports(first, result("2026-01-02", Row("c", 2.0)))
    third = merge_reports(second, result("2026-01-03", Row("b", 1.0)))
    rows = {row["name"]: Row.of_json(row) for row in third["rows"]}
    dates = {name: row.date for name, row in rows.items()}
    assert dates == {"a": "2026-01-01", "b": None, "c": "2026-01-02"}
    assert rows["b"] == Row("b", 1.0), "an older peer beside a newer time would be no ratio"
    assert third["date"] == "2026-01-03"


def test_rows_of_before_have_no_date() -> None:
    data = asdict(Row("a", 3.0))
    del data["date"]
    assert Row.of_json(data) == Row("a", 3.0)


def test_the_command_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    arguments = ["bench", "embedding", "--device", "null", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 0
    result = json.loads(file.read_text())
    assert result["engine"] == "null"
    assert all(Row.of_json(row).seconds > 0 for row in result["rows"])
    assert {"host", "versions", "date", "time", "clocks", "copies", "products"} <= result.keys()
    assert "GB/s" in capsys.readouterr().out


def test_the_command_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    arguments = ["bench", "embedding", "--device", "null", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--limit", "0"])
    assert main() == 0
    assert "time limit reached: 0 of " in capsys.readouterr().out
    result = json.loads(file.read_text())
    assert result["rows"] == []
    first = next(entries(["embedding"], Device.null())).name
    kept = [asdict(Row(first, 1e9)), asdict(Row("another", 2.0))]
    file.write_text(json.dumps({**result, "rows": kept, "copies": {"PyTorch": 5.0}}))
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 0
    result = json.loads(file.read_text())
    seconds = {row["name"]: row["seconds"] for row in result["rows"]}
    assert len(seconds) == len(result["rows"]) > 2
    assert seconds[first] < 1e9
    assert seconds["another"] == 2
    assert result["copies"].keys() == {"Avila", "PyTorch"}
    file.write_text(json.dumps({**result, "adapter": "another card"}))
    assert main() == 2
    assert "give a new file" in capsys.readouterr().err


def test_the_command_times_what_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "bench.__main__.measure_entry", lambda device, entry, *rest: Row(entry.name, 1.0)
    )
    file = tmp_path / "bench.json"
    arguments = ["bench", "nn", "--device", "null", "--json", str(file), "--only", "gelu 67"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--only", "mish"])
    assert main() == 0
    names = [row["name"] for row in json.loads(file.read_text())["rows"]]
    assert sorted(names) == ["nn.gelu 67108864 f16", "nn.gelu 67108864 f32", "nn.mish 67108864 f16"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--only", "no such"])
    assert main() == 2
    assert "must be a part of an entry's name, got 'no such'" in capsys.readouterr().err


def test_an_entry_that_fails_does_not_cost_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(entries(["embedding"], Device.null())).name

    def measure_or_fail(device: Device, entry: Entry, *rest: object) -> Row:
        if entry.name == first:
            raise RuntimeError("no room")
        return Row(entry.name, 1.0)

    file = tmp_path / "bench.json"
    monkeypatch.setattr("bench.__main__.measure_entry", measure_or_fail)
    arguments = ["bench", "embedding", "--device", "null", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 1
    assert f"{first} failed: no room" in capsys.readouterr().err
    names = [row["name"] for row in json.loads(file.read_text())["rows"]]
    assert names
    assert first not in names


def test_a_peer_that_fails_does_not_cost_our_own_time(capsys: pytest.CaptureFixture[str]) -> None:
    device = Device.null()
    entry = next(e for e in entries(["elementwise"], device) if e.torch is not None)
    row = measure_entry(device, entry, FixedRoofs(), Peers(FailingPeer(None)))
    assert row.seconds > 0
    assert entry.torch_name not in row.peers
    assert f"{entry.name}: {entry.torch_name} failed: no result" in capsys.readouterr().err


def test_what_a_result_lacks_comes_first_and_goals_before_the_rest() -> None:
    found = list(entries(["gemm"], Device.null()))
    known = [entry.name for entry in found if entry.target][:2]
    order = sort_entries(found, known)
    assert [entry.name for entry in order[-2:]] == known
    has_goal = [entry.target is not None for entry in order[:-2]]
    assert has_goal == sorted(has_goal, reverse=True)


def test_the_library_has_peers_but_where_pytorch_has_nothing_alike() -> None:
    library = entries(["arrays", "image", "nn", "random", "signal"], Device.null())
    without = {entry.name.split()[0] for entry in library if entry.torch is None}
    assert without == {"image.canny", "sosfilt"}


def test_an_unknown_operation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "no_such_operation"])
    with pytest.raises(SystemExit, match="2"):
        main()
