"""The help of all commands, and the doctor's report."""

from __future__ import annotations

import itertools
import json
import re
import sys

import pytest
from typer.testing import CliRunner

from diffusion.checkpoints.bundled import BUNDLED_GUIDANCE
from diffusion.cli.previews import EVERY, EVERY_QUICK
from diffusion.cli.program import app
from diffusion.cli.spellings import ORDER
from diffusion.samplers import SAMPLERS
from diffusion.schedules import SCHEDULES
from diffusion.settings import Defaults
from gpucore import Device
from gpucore.doctor.report import AdapterReport, EngineReport, Machine, Problem, Report
from gpucore.doctor.selftest import Check, adapter_record
from tests.diffusion.cli.fake_pipeline import run

DRAWING = ["txt2img", "img2img", "inpaint", "upscale"]


def help_text(*command: str) -> str:
    """Return a command's help in one line."""
    return " ".join(run(*command, "--help").stdout.split())


def test_help_names_everything_that_can_be_chosen() -> None:
    text = help_text("txt2img")
    assert 'avila txt2img "a red apple"' in text
    for name in (*SAMPLERS.names, *SCHEDULES.names, "automatic", "--output", "WxH"):
        assert name in text
    assert "doctor" in help_text()
    assert re.fullmatch(r"avila \S+\n", run("--version").stdout)


def test_the_first_panel_shows_what_people_use_first() -> None:
    panels = run("txt2img", "--help").stdout.split("╭─ ")
    first = next(panel for panel in panels if panel.startswith("Options "))
    names = re.findall(r"^│ --([a-z-]+)", first, re.MULTILINE)
    expected = "size negative seed count steps guidance sampler model output device help"
    assert names == expected.split()


def test_the_commands_stand_in_the_order_of_use() -> None:
    names = re.findall(r"^│ ([a-z0-9]+) ", run("--help").stdout, re.MULTILINE)
    assert names == list(ORDER)


@pytest.mark.parametrize("command", DRAWING)
def test_help_states_the_models_defaults(command: str) -> None:
    text = " ".join(help_text(command).replace("│", " ").split())
    for default in ("20; 12 for the bundled model", "dpmpp_2m, or lcm", "automatic: the sampler"):
        assert f"[default: {default}" in text
    assert f"[default: {Defaults.guidance:g}; {BUNDLED_GUIDANCE:g} for the bundled" in text
    assert "<bool>" not in text


@pytest.mark.parametrize("command", [*DRAWING, "info"])
def test_help_teaches(command: str) -> None:
    text = help_text(command)
    assert f"avila {command} " in text
    assert "Examples" in text
    assert command in help_text()
    if command not in {"info", "upscale"}:
        assert "[word] gives it less. [x:y:0.5] is x, then y" in text


@pytest.mark.parametrize("command", DRAWING)
def test_help_names_the_defaults(command: str) -> None:
    text = help_text(command)
    for default in (f"{EVERY}, or {EVERY_QUICK} with --preview-vae", "original", "-1", "."):
        assert f"[default: {default}]" in text


@pytest.mark.parametrize("width", [60, 80, 140])
def test_help_fills_the_lines_of_the_terminal(width: int) -> None:
    """The lines of the docstring do not matter."""
    done = CliRunner(env={"COLUMNS": str(width), "NO_COLOR": "1"}).invoke(app, ["tune", "--help"])
    text = done.stdout[: done.stdout.index("─ Options")]
    lines = [line.strip() for line in text.splitlines()]
    for line, following in itertools.pairwise(lines):
        if line and following:
            assert len(line) + 1 + len(following.split()[0]) > width - 2


@pytest.mark.parametrize("command", [*DRAWING, "tune", "info"])
def test_help_has_no_emoji(command: str) -> None:
    assert not [each for each in run(command, "--help").stdout if ord(each) >= 0x1F000]


def report(works: bool, problems: tuple[Problem, ...]) -> Report:
    record = adapter_record(Device.null().info) | {"name": "Card [9]"}
    adapter = AdapterReport(record, (Check("f32 arithmetic", works, "right"),))
    return Report(Machine(), (EngineReport("dawn", None),), (adapter,), problems)


@pytest.mark.parametrize(
    ("works", "problems", "status"),
    [
        (True, (), 0),
        (True, (Problem("one engine is missing", "pip install 'x>=1'"),), 1),
        (False, (Problem("wrong numbers", "update"),), 2),
    ],
)
def test_the_doctors_status_and_words(
    works: bool, problems: tuple[Problem, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report(works, problems)
    monkeypatch.setattr(sys.modules["diffusion.cli.commands.doctor"], "examine", lambda: found)
    done = run("doctor")
    assert done.exit_code == status
    for part in ("Card [9]", "not installed", "f32 arithmetic", *(p.fix for p in problems)):
        assert part in done.stdout
    done = run("doctor", "--json")
    assert done.exit_code == json.loads(done.stdout)["status"] == status
