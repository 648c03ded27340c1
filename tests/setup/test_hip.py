"""tools/setup/hip.sh installs hiprtc and clang where one is missing, and only there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "setup" / "hip.sh"
APT = """#!/bin/bash
echo "$*" >> "$STATE/log"
[[ $1 != install ]] || { cp /bin/true "$STATE/bin/clang-15"; cp /bin/true "$AVILA_HIP_LIBRARY"; }
"""

pytestmark = pytest.mark.skipif(
    not Path("/bin/bash").exists(), reason="the set-up scripts are for systems with bash"
)


def set_up(folder: Path, **variables: str) -> tuple[str, str]:
    """Run the script with a stand-in for apt; return what it said, and what apt was asked."""
    commands = folder / "bin"
    commands.mkdir(exist_ok=True)
    for name, text in {"apt-get": APT, "id": "#!/bin/bash\necho 0\n"}.items():
        (commands / name).write_text(text, encoding="utf-8")
        (commands / name).chmod(0o755)
    for name in ("dirname", "env", "cp"):
        link = commands / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path("/usr/bin") / name)
    (folder / "log").touch()
    library = str(folder / "libamdhip64.so.5")
    done = subprocess.run(
        ["/bin/bash", str(SCRIPT)],
        env={
            "PATH": str(commands),
            "STATE": str(folder),
            "AVILA_HIP_LIBRARY": library,
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr, (folder / "log").read_text(encoding="utf-8")


def test_missing_packages_are_installed_once(tmp_path: Path) -> None:
    said, asked = set_up(tmp_path)
    assert "Installing hiprtc" in said
    assert "libamdhip64-5 libhiprtc-builtins5 rocm-device-libs clang-15" in asked
    (tmp_path / "log").unlink()
    assert set_up(tmp_path) == ("", "")


def test_without_rights_it_says_what_is_skipped(tmp_path: Path) -> None:
    said, asked = set_up(tmp_path, AVILA_NO_APT="1")
    assert asked == ""
    assert "are skipped" in said
    assert "apt-get install libamdhip64-5" in said
