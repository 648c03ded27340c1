"""The start of the process: what it imports first, and Ctrl-C while it imports the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import diffusion
from diffusion.checkpoints import hub
from diffusion.cli import main
from diffusion.cli.program import COMMANDS, run
from tests.processes import environment

ROOT = Path(__file__).parents[3]
# Python's own handler first: what a script starts in the background has SIGINT ignored.
INTERRUPTED = """\
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
os.kill(os.getpid(), signal.SIGINT)
time.sleep(60)
"""


def python(*arguments: str, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a process that finds modules in ``path`` first."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT.parent,
        env=environment(path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("module", ["numpy", "typer", "gpucore"])
def test_ctrl_c_during_imports(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text(INTERRUPTED)
    done = python("-m", "diffusion.cli", "--version", path=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "avila: stopped\n")


def test_next_to_nothing_is_imported_before() -> None:
    code = "import diffusion.cli, sys; print(*{name.split('.')[0] for name in sys.modules})"
    found = set(python("-c", code).stdout.split())
    assert "diffusion" in found
    assert not found & {"numpy", "PIL", "typer", "rich", "gpucore", "gpustd", "jinja2"}


@pytest.mark.parametrize(
    "arguments", [["doctor", "--json"], ["model", "list"], ["model", "rm", "a/b"]], ids=str
)
def test_ctrl_c_in_a_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["diffusion.cli.commands.doctor"], "examine", interrupted)
    monkeypatch.setattr(hub, "cached_models", interrupted)
    monkeypatch.setattr(hub, "cached_model", interrupted)
    assert run(arguments) == 130
    assert capfd.readouterr().err == "avila: stopped\n"
    with pytest.raises(SystemExit, match="130"):
        main(arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="a process inherits no descriptors there")
@pytest.mark.parametrize("closed", [[2], [1, 2], [0, 1, 2]], ids=str)
def test_draws_where_stderr_is_closed(tmp_path: Path, closed: list[int]) -> None:
    """What drivers and Python print goes neither to stdout nor into another file."""
    picture = tmp_path / "a.png"
    command = [sys.executable, "-m", "diffusion.cli", "txt2img", "a", "-o", str(picture)]
    command += ["--steps", "1", "--size", "64x64"]
    code = f"import os; [os.close(each) for each in {closed}]; os.execv({command[0]!r}, {command})"
    done = python("-c", code)
    stdout = "" if 1 in closed else f"{picture}\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, stdout, "")
    with Image.open(picture) as image:
        assert image.size == (64, 64)


def test_names_of_the_package() -> None:
    for name in diffusion.__all__:
        assert getattr(diffusion, name).__name__ == name
    assert set(diffusion.__all__) <= set(dir(diffusion))
    with pytest.raises(AttributeError, match="'diffusion' has no attribute 'Pipelin'"):
        diffusion.Pipelin  # type: ignore[attr-defined]  # noqa: B018


def test_every_command_has_a_module() -> None:
    assert len(COMMANDS) == len(set(COMMANDS)) == 15
