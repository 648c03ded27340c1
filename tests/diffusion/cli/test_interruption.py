"""Ctrl-C as a request, and messages of drivers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diffusion.cli.interruption import interruptible
from diffusion.cli.native_messages import hide_native_messages
from gpucore import DeviceNotFoundError

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_a_second_ctrl_c_ends_the_process() -> None:
    code = """
import os, signal
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
