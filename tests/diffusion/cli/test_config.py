"""``avila config`` and environment variables: defaults, their order, and wrong ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from diffusion.cli.config.config_file import VARIABLE, find_config_file
from tests.diffusion.cli.fake_pipeline import FakePipeline, exit_status, file_names, run


@pytest.fixture
def config(pictures: type[FakePipeline], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Name a config file that is not there yet."""
    path = tmp_path / "settings" / "config.toml"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def test_set_show_and_unset(config: Path) -> None:
    assert run("config").stdout == ""
    for line in ("steps 2", "img2img.strength 0.5", "zero-snr true", "set rho=5 order=2"):
        done = run("config", "set", *line.split())
        assert done.exit_code == 0, done.stderr
    assert run("config", "show").stdout.splitlines() == [
        *("steps = 2", "zero-snr = true", 'set = ["rho=5", "order=2"]', "img2img.strength = 0.5")
    ]
    assert json.loads(run("config", "show", "--json").stdout)["file"]["img2img"] == {
        "strength": 0.5
    }
    assert run("config", "unset", "steps").exit_code == 0
    assert "steps" not in config.read_text()
    assert run("config", "path").stdout == f"{config}\n"
    assert file_names(config.parent) == ["config.toml"]


def test_comments_stay(config: Path) -> None:
    config.parent.mkdir()
    config.write_text("# mine\nsteps = 3  # few\n\n[img2img]\n# less\nstrength = 0.4\n")
    assert run("config", "set", "guidance", "2").exit_code == 0
    text = config.read_text()
    assert "# mine" in text
    assert "# few" in text
    assert "# less" in text
    assert run("txt2img", "a").exit_code == 0
    assert FakePipeline.runs[0].guidance == 2.0


def test_what_is_typed_counts_first(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed, --from, environment, table of the command, all commands, model."""
    for key, value in (("steps", "2"), ("guidance", "2"), ("eta", "0.1"), ("txt2img.eta", "0.2")):
        assert run("config", "set", key, value).exit_code == 0
    monkeypatch.setenv("AVILA_GUIDANCE", "3")
    monkeypatch.setenv("AVILA_SAMPLER", "ddim")
    assert run("txt2img", "a", "--steps", "5").exit_code == 0
    assert run("img2img", "in.png", "a").exit_code == 0
    assert run("txt2img", "--from", "drawn.png", "--eta", "0.9").exit_code == 0
    found = [(e.steps, e.guidance, e.eta, e.sampler, e.schedule) for e in FakePipeline.runs]
    assert found == [
        (5, 3.0, 0.2, "ddim", "automatic"),
        (2, 3.0, 0.1, "ddim", "automatic"),
        (3, 4.5, 0.9, "Euler", "Karras"),
    ]


def test_flags_files_and_devices(config: Path, tmp_path: Path) -> None:
    config.parent.mkdir()
    config.write_text('output = "made/{seed}"\nquiet = true\nzero-snr = true\ndevice = "null"\n')
    done = run("txt2img", "a", "--seed", "4")
    assert (done.stdout, done.stderr) == ("made/4.png\n", "")
    assert FakePipeline.runs[0].zero_snr
    assert run("convert", "in.png", "-o", "x", "--dtype", "z").exit_code == 2  # has no defaults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stpes = 3", "stpes is no option that a config sets; did you mean steps"),
        ("grid = ['steps=1']", "grid is no option that a config sets"),
        ("[tx2img]\nsteps = 3", "[tx2img]  is no command; tables are txt2img"),
        ("[upscale]\nhires = 2", "[upscale] hires is no option"),
        ("steps = 'x'", "--steps must be a whole number; got 'x' (from the config file)"),
        (
            "steps = 0",
            "--steps must be a whole number from 1 to 1000; got 0 (from the config file)",
        ),
        ("steps = 2024-01-01", "steps must be a text, a number or a truth"),
        ("steps =", "it is not TOML"),
        ("a = " + "[" * 5000, "it is not TOML"),
        ("sampler = 'eular'", "--sampler cannot be 'eular'; did you mean euler"),
    ],
    ids=str,
)
def test_wrong_files_are_refused(
    config: Path, capfd: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    config.parent.mkdir()
    config.write_text(text)
    assert exit_status("txt2img", "a") == 2
    errors = capfd.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert FakePipeline.loads == []


def test_wrong_variables_are_named(
    config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVILA_STEPS", "x")
    assert exit_status("txt2img", "a") == 2
    assert "--steps must be a whole number; got 'x' (from the environment: AVILA_STEPS)" in (
        capfd.readouterr().err
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("set stpes 3", "stpes is no option"),
        ("set steps x", "steps cannot be 'x'; it is not a value of this option"),
        ("set prompts x", "prompts is no option"),
        ("unset steps", "steps is missing"),
        ("set tx2img.steps 3", "is no command"),
    ],
)
def test_wrong_changes_are_refused(
    config: Path, capfd: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    assert exit_status("config", *line.split()) == 2
    assert message in capfd.readouterr().err
    assert not config.exists()


def test_keys_have_their_variables(config: Path) -> None:
    lines = run("config", "keys").stdout.splitlines()
    found = {line.split()[0]: line.split()[1] for line in lines}
    assert found["clip-skip"] == "AVILA_CLIP_SKIP"
    assert {"model", "device", "output", "strength", "hires"} <= found.keys()
    assert not {"prompts", "grid", "from", "help", "debug"} & found.keys()


def test_edit_opens_an_editor_and_checks(
    config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text("import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('stpes = 1')")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    assert run("config", "edit").exit_code == 2
    monkeypatch.setenv("EDITOR", f"'{sys.executable}' '{editor}'")
    assert "did you mean steps" in run("config", "edit").stderr


def test_the_file_lies_in_the_users_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    found = find_config_file()
    assert found is not None
    assert found.parts[-2:] == ("avila", "config.toml")
    monkeypatch.setenv(VARIABLE, "off")
    assert find_config_file() is None
    assert exit_status("config", "set", "steps", "3") == 2
