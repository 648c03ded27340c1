"""Ctrl-C as a request, and messages of drivers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diffusion.cli import signals
from diffusion.cli.interruption import interruptible
from diffusion.cli.native_messages import hide_native_messages
from diffusion.cli.signals import stop_by_signals
from gpucore import DeviceNotFoundError
from tests.goldens.folders import write_model
from tests.processes import environment

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_a_second_ctrl_c_ends_the_process() -> None:
    code = """
import os, signal
from diffusion.cli import signals
from diffusion.cli.interruption import interruptible
with interruptible(lambda: print("first", flush=True)) as interruption:
    os.kill(os.getpid(), signal.SIGINT)
    assert interruption.requested
    os.kill(os.getpid(), signal.SIGINT)
    print("never")
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "first\n", "")


def test_ctrl_c_works_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(lambda: None) as interruption:
        interruption.check()
        interruption.handle(signal.SIGINT, None)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("shown", "error", "printed"),
    [
        (False, None, ""),
        (True, None, "native\n"),
        (False, DeviceNotFoundError("none"), ""),
        (False, KeyboardInterrupt(), ""),
        (False, OSError("?"), "native\n"),
    ],
    ids=str,
)
def test_messages_of_drivers_are_hidden_where_the_error_explains_itself(
    shown: bool, error: BaseException | None, printed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = pytest.raises(type(error)) if error else contextlib.nullcontext()
    with expected, hide_native_messages(shown):
        os.write(2, b"native\n")
        if error:
            raise error
    assert capfd.readouterr().err == printed


CONVERSION = """
import os, signal, sys, time
from diffusion.checkpoints.safetensors import SafetensorsFile
read = SafetensorsFile.read_entry
def slow_read(self, entry):
    print("reading", flush=True)
    time.sleep(30)
SafetensorsFile.read_entry = slow_read
from diffusion.cli import main
sys.argv = ["avila", "convert", *sys.argv[1:]]
main()
"""

ENDING = """
import atexit, sys, time
def linger():
    print("ending", flush=True)
    time.sleep(1)
atexit.register(linger)
from diffusion.cli import main
sys.argv = ["avila", "--version"]
main()
"""


def stop(code: str, word: str, number: int, *arguments: str) -> tuple[int, str]:
    """Run a script, send a signal once it prints ``word``, and return its status and stderr."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while word not in (line := process.stdout.readline()):
            assert line, process.communicate()
        process.send_signal(number)
        _, message = process.communicate(timeout=60)
    return process.returncode, message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for one process")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("target", ["new.safetensors", "new"])
def test_every_signal_leaves_no_draft(name: str, target: str, tmp_path: Path) -> None:
    write_model(tmp_path / "model", "two_levels")
    found = stop(
        CONVERSION,
        "reading",
        getattr(signal, name),
        str(tmp_path / "model"),
        "-o",
        str(tmp_path / target),
    )
    assert found == (130, "avila: stopped\n")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for one process")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_at_the_very_end_changes_nothing(name: str) -> None:
    """The work is done; by the signal's own action the status would say otherwise."""
    assert stop(ENDING, "ending", getattr(signal, name)) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_are_requests_in_a_run(name: str) -> None:
    before = signal.getsignal(getattr(signal, name))
    with interruptible(lambda: None) as interruption:
        os.kill(os.getpid(), getattr(signal, name))
        assert interruption.requested
    assert signal.getsignal(getattr(signal, name)) is before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_what_nohup_ignores_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "STOPPING", ("SIGHUP",))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop_by_signals()
        with interruptible(lambda: None) as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interruption.requested
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
