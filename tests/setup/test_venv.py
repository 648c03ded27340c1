"""tools/setup/venv.sh says what is missing before it makes anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "setup" / "venv.sh"
# Python 3.11 as Debian packs it: without the module that puts pip into an environment.
WITHOUT_VENV = "#!/bin/bash\n[[ $2 != *ensurepip* ]]\n"
TOO_OLD = "#!/bin/bash\nexit 1\n"

pytestmark = pytest.mark.skipif(
    not Path("/bin/bash").exists(), reason="the set-up scripts are for systems with bash"
)


def set_up(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Run the script with `python` as the body of the only interpreter, and without apt."""
    interpreter = folder / "python3"
    interpreter.write_text(python, encoding="utf-8")
    interpreter.chmod(0o755)
    return subprocess.run(
        ["/bin/bash", str(SCRIPT), str(folder / "venv"), "."],
        env=os.environ | {"PYTHON_FOR_VENV": str(interpreter), "AVILA_NO_APT": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("python", "advice"),
    [
        pytest.param(TOO_OLD, "No Python 3.11 or newer was found", id="too old"),
        pytest.param(WITHOUT_VENV, "As root: apt-get install python3-venv", id="no venv module"),
    ],
)
def test_it_says_what_to_install(python: str, advice: str, tmp_path: Path) -> None:
    done = set_up(tmp_path, python)
    assert done.returncode == 1
    assert advice in done.stderr
    assert not (tmp_path / "venv").exists()
