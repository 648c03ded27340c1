"""Drafts of files and folders: whole or not there, and swept where a process was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diffusion.drafts import draft_folder, open_draft, sweep_drafts
from tests.processes import environment

WRITER = """
import sys, time
from pathlib import Path
from diffusion import drafts
make = getattr(drafts, sys.argv[1])
with make(Path(sys.argv[2])) as made:
    (made / "large").write_bytes(bytes(100)) if isinstance(made, Path) else made.write(bytes(100))
    print("ready", flush=True)
    time.sleep(60)
"""


def make_old(path: Path) -> None:
    old = time.time() - 3600
    os.utime(path, (old, old))


def test_a_draft_is_renamed_or_removed(tmp_path: Path) -> None:
    with open_draft(tmp_path) as file:
        file.write(b"whole")
    Path(file.name).rename(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"whole"
    with draft_folder(tmp_path / "new") as draft:
        (draft / "b").touch()
        draft.rename(tmp_path / "folder")
    assert [each.name for each in (tmp_path / "folder").iterdir()] == ["b"]
    with pytest.raises(KeyboardInterrupt), open_draft(tmp_path):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), draft_folder(tmp_path):
        raise KeyboardInterrupt
    assert {each.name for each in tmp_path.iterdir()} == {"a", "folder", "new"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
@pytest.mark.parametrize("kind", ["open_draft", "draft_folder"])
def test_a_killed_process_leaves_nothing_for_long(kind: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, kind, str(tmp_path)],
        env=environment(),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        (draft,) = tmp_path.iterdir()
        make_old(draft)
        sweep_drafts(tmp_path)
        assert draft.exists(), "it is being written"
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    draft.touch()
    sweep_drafts(tmp_path)
    assert draft.exists(), "it may have been made a moment ago"
    make_old(draft)
    sweep_drafts(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    names = [".avila-x.tmp", ".a.safetensors.01234567.tmp", "avila-0123456789abcdef.tmp"]
    for name in names:
        (tmp_path / name).touch()
        make_old(tmp_path / name)
    (tmp_path / ".avila-0123456789abcdef.tmp").symlink_to(tmp_path / names[0])
    sweep_drafts(tmp_path)
    sweep_drafts(tmp_path / "none")
    assert len(list(tmp_path.iterdir())) == 4
