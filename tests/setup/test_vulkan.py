"""tools/setup/vulkan.sh installs a driver where one is missing, and only there.

The script runs for real; the commands that would change the machine are stand-ins that log.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "setup" / "vulkan.sh"
READY, PARTIAL, NOTHING = 0, 1, 2
MIRROR = "http://mirror.example/debian/"
STAND_INS = {
    # What the probe of the adapters says, one exit status a call.
    "python": 'read -r status < "$STATE/probes"; sed -i 1d "$STATE/probes"; exit "$status"',
    "apt-get": 'if [[ $1 == indextargets ]]; then cat "$STATE/sources"; '
    'else echo "apt-get $*" >> "$STATE/log"; fi',
    "tee": 'echo "tee $1" >> "$STATE/log"; cat >> "$STATE/log"',
    "id": 'echo "$USER_ID"',
    "sudo": '[[ -n $SUDO_WORKS ]] || exit 1; shift; echo -n "sudo " >> "$STATE/log"; "$@"',
    "ldconfig": 'cat "$STATE/libraries"',
    "uname": "echo Linux",
}

pytestmark = pytest.mark.skipif(
    not Path("/bin/bash").exists(), reason="the set-up scripts are for systems with bash"
)


@dataclass
class Machine:
    """A pretended machine: what it has, and what the script did to it."""

    folder: Path
    probes: list[int]
    release: str = "bookworm"
    suites: list[str] = field(default_factory=lambda: ["bookworm", "bookworm-updates"])
    has_loader: bool = True
    root: bool = True
    sudo_works: bool = False
    forbidden: bool = False

    def set_up(self) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        commands = self.folder / "bin"
        commands.mkdir()
        for name, body in STAND_INS.items():
            (commands / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
            (commands / name).chmod(0o755)
        loader = "libvulkan.so.1 (libc6) => /lib/libvulkan.so.1\n" if self.has_loader else ""
        files = {
            "probes": "".join(f"{status}\n" for status in self.probes),
            "sources": "".join(f"{MIRROR} {suite}\n" for suite in self.suites),
            "libraries": loader,
            "log": "",
            "os-release": f"VERSION_CODENAME={self.release}\n",
        }
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        return subprocess.run(
            ["/bin/bash", str(SCRIPT), str(commands / "python")],
            env=self.environment(commands),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def environment(self, commands: Path) -> dict[str, str]:
        settings = {
            "PATH": f"{commands}:{os.environ['PATH']}",
            "STATE": str(self.folder),
            "AVILA_OS_RELEASE": str(self.folder / "os-release"),
            "USER_ID": "0" if self.root else "1000",
            "SUDO_WORKS": "yes" if self.sudo_works else "",
        }
        return settings | ({"AVILA_NO_APT": "1"} if self.forbidden else {})

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")


def test_a_machine_that_works_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path, [READY])
    assert machine.set_up().returncode == 0
    assert machine.log == ""


def test_debian_12_gets_the_driver_of_its_backports_from_its_own_mirror(tmp_path: Path) -> None:
    machine = Machine(tmp_path, [NOTHING, READY])
    assert machine.set_up().returncode == 0
    assert "tee /etc/apt/sources.list.d/avila-backports.sources" in machine.log
    assert f"URIs: {MIRROR}\nSuites: bookworm-backports\n" in machine.log
    assert "-t bookworm-backports mesa-vulkan-drivers libvulkan1" in machine.log


def test_a_present_source_is_not_added_again(tmp_path: Path) -> None:
    suites = ["bookworm", "bookworm-backports"]
    machine = Machine(tmp_path, [PARTIAL, READY], suites=suites)
    assert machine.set_up().returncode == 0
    assert "tee" not in machine.log
    assert "-t bookworm-backports mesa-vulkan-drivers" in machine.log


def test_a_gpu_that_lacks_only_the_loader_gets_only_the_loader(tmp_path: Path) -> None:
    machine = Machine(tmp_path, [NOTHING, READY], has_loader=False)
    assert machine.set_up().returncode == 0
    assert "libvulkan1" in machine.log
    assert "mesa" not in machine.log


def test_other_releases_take_their_own_driver(tmp_path: Path) -> None:
    machine = Machine(tmp_path, [NOTHING, READY], release="trixie", suites=["trixie"])
    assert machine.set_up().returncode == 0
    assert "mesa-vulkan-drivers" in machine.log
    assert "backports" not in machine.log


def test_sudo_is_used_where_it_asks_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, [NOTHING, READY], root=False, sudo_works=True)
    assert machine.set_up().returncode == 0
    assert "sudo apt-get install" in machine.log


@pytest.mark.parametrize("forbidden", [False, True], ids=["may not", "forbidden"])
def test_without_the_right_it_prints_the_line_to_run(tmp_path: Path, forbidden: bool) -> None:
    machine = Machine(tmp_path, [NOTHING], root=forbidden, forbidden=forbidden)
    done = machine.set_up()
    assert done.returncode == 1
    assert "apt-get install -t bookworm-backports mesa-vulkan-drivers" in done.stderr
    assert f"deb {MIRROR} bookworm-backports main" in done.stderr
    assert machine.log == ""


def test_one_working_engine_is_enough(tmp_path: Path) -> None:
    machine = Machine(tmp_path, [PARTIAL, PARTIAL], release="jammy", suites=["jammy"])
    done = machine.set_up()
    assert done.returncode == 0
    assert "One engine has no adapter" in done.stderr
