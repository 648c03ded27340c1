"""``avila txt2img --profile``: the table, the trace, and what is refused before any work."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diffusion.cli import main
from diffusion.cli.app import app
from gpucore import Device
from gpucore.backends import null

SMALL = ("txt2img", "a red apple", "--seed", "1", "--steps", "2", "--size", "64x64")


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AVILA_DEBUG", raising=False)


def run(*arguments: str) -> Any:
    """The command in this process; standard streams apart."""
    return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, list(arguments))


def rows(text: str) -> dict[str, int]:
    """Count of each row of the tables."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 4 and words[-4].isdigit() and re.fullmatch(r"-|[0-9.]+%", words[-1]):
            found[" ".join(words[:-4])] = int(words[-4])
    return found


def test_the_null_device_counts_every_launch(tmp_path: Path) -> None:
    """The table's kernels and its regions each hold all launches, and a second step adds some."""
    counts = []
    for steps in ("1", "2"):
        done = run(*SMALL, "--steps", steps, "--device", "null", "--profile", "trace.json")
        assert done.exit_code == 0, done.stderr
        assert done.stdout.endswith("-1.png\n")
        counts.append(rows(done.stderr))
    regions = {"loading", "text encoder", "unet", "vae", "-"}
    assert regions <= counts[0].keys()
    for count in counts:
        of_regions = sum(count[region] for region in regions)
        assert sum(count.values()) == 2 * of_regions
    # The network runs once a step; the rest, but for the sampler's own arithmetic, once.
    assert counts[1]["unet"] > 1.5 * counts[0]["unet"]
    assert counts[1]["vae"] == counts[0]["vae"]
    assert "without valid timestamps" in done.stderr
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace["otherData"]["untimed"] == trace["otherData"]["launches"] == of_regions


def test_a_real_run_has_times(tmp_path: Path) -> None:
    """On the best device here; stdout stays what it is without a profile."""
    if "timestamps" not in Device.auto().features:
        pytest.skip("the best device here has no timestamps")
    done = run(*SMALL, "--json", "--output", "a.png", "--profile", "trace.json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["files"] == ["a.png"]
    trace = json.loads((tmp_path / "trace.json").read_text())
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert len(spans) == trace["otherData"]["launches"] > 500
    assert {"loading", "text encoder", "unet", "vae"} <= {span["cat"] for span in spans}
    assert all(span["dur"] >= 0 and span["ts"] >= 0 for span in spans)
    assert sum(span["dur"] for span in spans) > 0
    assert rows(done.stderr)["vae"] == sum(span["cat"] == "vae" for span in spans)


@pytest.mark.parametrize(
    ("file", "message"),
    [(".", "it is a folder"), ("nowhere/trace.json", "its folder does not exist")],
)
def test_a_file_that_cannot_be_is_found_first(
    file: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*SMALL, "--device", "null", "--profile", file])
    stdout, stderr = capfd.readouterr()
    assert (stdout, stderr.count("\n")) == ("", 1)
    assert message in stderr
    assert list(tmp_path.iterdir()) == []


def test_a_device_without_timestamps_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    info = null.adapters()[0]
    blind = dataclasses.replace(info, features=info.features - {"timestamps"})
    monkeypatch.setattr(Device, "auto", lambda: Device.from_backend(null.NullBackend(blind)))
    with pytest.raises(SystemExit, match="2"):
        main([*SMALL, "--profile", "trace.json"])
    assert "has no timestamps" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    done = run(*SMALL, "--device", "null", "--profile", "trace.json", "--model", "nowhere")
    assert done.exit_code == 2
    assert not (tmp_path / "trace.json").exists()
    assert "launches" not in done.stderr
