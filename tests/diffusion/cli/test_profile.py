"""``avila txt2img --profile``: its table, its trace, and files that it refuses."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from diffusion.cli import main
from gpucore import Device
from gpucore.backends import null
from tests.diffusion.cli.fake_pipeline import file_names, run

SMALL = ("txt2img", "a red apple", "--seed", "1", "--steps", "2", "--size", "64x64")


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AVILA_DEBUG", raising=False)


def tables(text: str) -> dict[str, dict[str, list[str]]]:
    """Return the cells of each row: tables by their first word, rows by their names."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        words = line.split()
        if words[1:3] == ["count", "total"]:
            table = found.setdefault(words[0], {})
        elif found and len(words) > 7 and words[-7].isdigit():
            table[" ".join(words[:-7])] = words[-7:]
    return found


def counts(table: dict[str, list[str]]) -> dict[str, int]:
    """Return the launches of each row."""
    return {name: int(cells[0]) for name, cells in table.items()}


def test_the_null_device_counts_every_launch(tmp_path: Path) -> None:
    """The table's kernels and its regions each hold all launches, and a second step adds some."""
    seen = []
    for steps in ("1", "2"):
        done = run(*SMALL, "--steps", steps, "--device", "null", "--profile", "trace.json")
        assert done.exit_code == 0, done.stderr
        assert done.stdout.endswith("-1.png\n")
        found = tables(done.stderr)
        launches = sum(counts(found["kernel"]).values())
        assert sum(counts(found["region"]).values()) == launches
        assert len(found["layer"]) == 25
        assert re.search(r"^and \d+ more, ", done.stderr, re.MULTILINE)
        seen.append(counts(found["region"]))
    assert seen[0].keys() == {"loading", "text encoder", "unet", "vae", "watch", "-"}
    # The network runs once a step; the rest, but for the sampler's own arithmetic, once.
    assert seen[1]["unet"] > 1.5 * seen[0]["unet"]
    assert seen[1]["vae"] == seen[0]["vae"]
    assert seen[1]["watch"] == seen[0]["watch"] + 1
    assert "without valid timestamps" in done.stderr
    assert "roof:" not in done.stderr, "nothing was timed that a roof could be held against"
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace["otherData"]["untimed"] == trace["otherData"]["launches"] == launches


def test_a_real_run_has_times(tmp_path: Path) -> None:
    """On the best device here; stdout stays what it is without a profile."""
    if "timestamps" not in Device.auto().features:
        pytest.skip("the best device here has no timestamps")
    done = run(*SMALL, "--json", "--output", "a.png", "--profile", "trace.json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["files"] == ["a.png"]
    trace = json.loads((tmp_path / "trace.json").read_text())
    spans = [e for e in trace["traceEvents"] if e["ph"] == "X" and e["tid"] == 1]
    assert len(spans) == trace["otherData"]["launches"] > 500
    assert {"loading", "text encoder", "unet", "vae"} <= {span["cat"] for span in spans}
    assert all(span["dur"] >= 0 and span["ts"] >= 0 for span in spans)
    assert sum(span["dur"] for span in spans) > 0
    found = tables(done.stderr)
    assert counts(found["region"])["vae"] == sum(span["cat"] == "vae" for span in spans)
    # Layers carry the names of the weights that they read.
    assert "vae/decoder/conv_out" in {span["args"]["region"] for span in spans}
    assert any(name.startswith("unet/") for name in found["layer"])
    share, _, gbytes, of_roof = found["region"]["unet"][3:]
    assert share.endswith("%")
    assert float(gbytes) > 0
    assert float(of_roof.rstrip("%")) > 0
    assert re.search(r"^roof: [0-9.e-]+ TFLOP/s, [0-9.]+ GB/s$", done.stderr, re.MULTILINE)
    assert "of roof: share of our own quickest product or copy" in done.stderr
    assert "Winograd counts a\ndirect convolution's work" in done.stderr


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("folder.json", "it is a folder"),
        ("nowhere/trace.json", "its folder does not exist"),
        (".", "it is no name of a trace; give --profile NAME.json"),
        ("photo.png", "it is no name of a trace; give --profile NAME.json"),
        ("a" * 300 + ".json", "File name too long"),
    ],
    ids=lambda text: text[:12],
)
def test_a_file_that_cannot_be_written_is_found_first(
    file: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("folder.json").mkdir()
    Path("photo.png").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        main([*SMALL, "--device", "null", "--profile", file])
    stdout, stderr = capfd.readouterr()
    assert (stdout, stderr.count("\n")) == ("", 1)
    assert message in stderr
    assert file_names(tmp_path) == ["folder.json", "photo.png"]
    assert Path("photo.png").read_text() == "mine"


def test_a_device_without_timestamps_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    info = null.adapters()[0]
    untimed = dataclasses.replace(info, features=info.features - {"timestamps"})
    monkeypatch.setattr(Device, "auto", lambda **_: Device(null.NullBackend(untimed)))
    with pytest.raises(SystemExit, match="2"):
        main([*SMALL, "--profile", "trace.json"])
    assert "has no timestamps" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    done = run(*SMALL, "--device", "null", "--profile", "trace.json", "--model", "nowhere")
    assert done.exit_code == 2
    assert not (tmp_path / "trace.json").exists()
    assert "launches" not in done.stderr
