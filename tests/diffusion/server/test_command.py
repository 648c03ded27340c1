"""``avila serve``: its errors in one line each, and a plain install without its packages."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.diffusion.cli.fake_pipeline import run
from tests.processes import environment


def test_a_host_for_others_is_refused_with_the_way_out() -> None:
    done = run("serve", "--host", "0.0.0.0")
    assert done.exit_code == 2
    assert "needs users: run 'avila serve --new-users users.toml'" in done.stderr


def test_a_file_of_users_is_made_and_its_token_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "users.toml"
    done = run("serve", "--new-users", file)
    assert done.exit_code == 0
    token = file.read_text().split('token = "')[1].split('"')[0]
    assert len(token) >= 40
    assert token not in done.output
    assert run("serve", "--new-users", file).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "port: input should be less than or equal to 65535"),
        (["--vram", "much"], "vram must be a size such as 8GB; got 'much'"),
        (["--config", "none.toml"], "none.toml is no file"),
        (["--users", "none.toml"], "none.toml cannot be read"),
        (["--model", "nothing"], "there is no model 'nothing'"),
        (["--model", "models/emoji"], "give a name from the folder --models"),
        (["--models", "nowhere"], "models must be a folder of models; got 'nowhere'"),
        (["--device", "no such card"], "device: no device fits 'no such card'; present:"),
        (["--styles", "none.csv"], "cannot be read: No such file or directory; give a CSV"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = run("serve", "--output", tmp_path, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code = "from diffusion.cli import main; main()"
        arguments = ["serve", "--output", str(tmp_path), "--port", str(port)]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 2, done.stderr
    assert f"127.0.0.1:{port} cannot be listened to; is the port taken?" in done.stderr


def test_without_its_packages_it_says_what_to_install(tmp_path: Path) -> None:
    """The rest of the program does not need them, either."""
    code = (
        "import sys\n"
        "for name in ('fastapi', 'uvicorn', 'pydantic_settings', 'structlog',"
        " 'prometheus_client', 'h11'):\n"
        "    sys.modules[name] = None\n"
        "from diffusion.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--output", str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "pip install avila-diffusion[server]" in done.stderr
    assert "Traceback" not in done.stderr
