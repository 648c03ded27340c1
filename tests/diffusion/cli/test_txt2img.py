"""``avila txt2img``: the files that it writes, what it prints, how it stops, and one real run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from diffusion import Result, Settings
from diffusion.cli.options.model import find_dtype
from diffusion.errors import SettingsError
from diffusion.infotext.files import read_infotext
from diffusion.infotext.grammar import parse_infotext
from gpucore import Device, DeviceNotFoundError, f16
from tests.diffusion.cli.fake_pipeline import (
    NO_LATENTS,
    RED,
    FakePipeline,
    exit_status,
    file_names,
    infotext_of,
    run,
)
from tests.processes import environment

ROOT = Path(__file__).parents[3]
TRACEBACK = "Traceback (most recent call last):"
WRONG_STEPS = "avila: --steps must be a whole number from 1 to 1000; got 0"


@pytest.mark.usefixtures("fake_pipeline")
def test_a_picture_with_its_settings_inside(tmp_path: Path) -> None:
    done = run("txt2img", "a red apple", "--negative", "blurry, dark", "--seed", "7")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "00001-7.png\n"
    assert "seed 7, 3 steps" in done.stderr
    with Image.open(tmp_path / "00001-7.png") as image:
        assert (image.format, image.size, image.getpixel((0, 0))) == ("PNG", (16, 24), RED)
    found = parse_infotext(read_infotext(tmp_path / "00001-7.png") or "")
    assert (found.prompt, found.negative) == ("a red apple", "blurry, dark")
    settings = dict(found.settings)
    assert settings.pop("Version").startswith("Avila ")
    assert settings == {
        "Steps": "3",
        "Sampler": "DPM++ 2M",
        "Schedule type": "Automatic",
        "CFG scale": "7",
        "Seed": "7",
        "Size": "16x24",
        "Model hash": "0123456789",
        "Model": "pretended",
        "RNG": "NV",
    }


def test_all_options_together(fake_pipeline: type[FakePipeline]) -> None:
    options = (
        "--negative b --size 64x32 --seed 5 --count 2 --steps 4 --guidance 2.5 --eta 0.5 "
        "--batch 2 --sampler euler_a --schedule karras"
    )
    assert run("txt2img", "a", *options.split()).exit_code == 0
    assert fake_pipeline.runs == [
        Settings("a", "b", 64, 32, 4, 2.5, "euler_a", "karras", 5, 2, 2, 0.5)
    ]
    settings = infotext_of("00002-6.png")
    assert (settings["Sampler"], settings["Schedule type"]) == ("Euler a", "Karras")
    assert (settings["Seed"], settings["Eta"]) == ("6", "0.5")


def test_an_empty_prompt_is_a_prompt(fake_pipeline: type[FakePipeline]) -> None:
    assert run("txt2img", "", "--seed", "1").exit_code == 0
    assert fake_pipeline.runs[0].prompt == ""


@pytest.mark.parametrize("options", [[], ["--seed", "-1"]], ids=str)
def test_a_random_seed_is_printed(
    fake_pipeline: type[FakePipeline], tmp_path: Path, options: list[str]
) -> None:
    seeds = []
    for _ in range(2):
        done = run("txt2img", "a", *options)
        seeds.append(int(re.search(r"seed (\d+),", done.stderr)[1]))  # type: ignore[index]
    assert seeds == [settings.seed for settings in fake_pipeline.runs]
    assert seeds[0] != seeds[1]
    assert file_names(tmp_path) == [f"00001-{seeds[0]}.png", f"00002-{seeds[1]}.png"]


def test_pictures_are_made_in_batches(fake_pipeline: type[FakePipeline], tmp_path: Path) -> None:
    """Each batch is a run of its own, so that its pictures are on disk before the next."""
    done = run("txt2img", "a", "--count", "5", "--batch", "2", "--seed", "10")
    assert [(each.seed, each.count) for each in fake_pipeline.runs] == [(10, 2), (12, 2), (14, 1)]
    assert done.stdout.split() == file_names(tmp_path)
    assert file_names(tmp_path) == [f"{i + 1:05d}-{10 + i}.png" for i in range(5)]


@pytest.mark.usefixtures("fake_pipeline")
def test_json_is_all_that_stdout_gets() -> None:
    done = run("txt2img", "a", "--count", "2", "--seed", "3", "--json")
    record = json.loads(done.stdout)
    assert done.stderr == ""
    assert record["files"] == ["00001-3.png", "00002-4.png"]
    assert (record["seed"], record["seeds"]) == (3, [3, 4])
    assert record["settings"]["width"] == 16
    assert record["settings"]["sampler"] == "dpmpp_2m"
    assert record["model"] == {"name": "pretended", "hash": "0123456789"}
    assert record["device"]["backend"] == "null-null"
    phases = {"loading", "encoding prompt", "compiling", "sampling", "decoding", "writing"}
    assert record["timings"].keys() == phases | {"total"}
    spent = sum(record["timings"][phase] for phase in phases)
    assert spent == pytest.approx(record["timings"]["total"], abs=0.01)
    assert record["steps_per_second"] > 0


def test_json_names_the_vae_and_layers_that_were_computed_again(
    fake_pipeline: type[FakePipeline],
) -> None:
    fake_pipeline.redone = "decoder.conv_out"
    done = run("txt2img", "a", "--vae", "other/vae", "--seed", "1", "--json")
    record = json.loads(done.stdout)
    assert record["vae"] == {"name": "vae", "hash": "abcdefabcd"}
    assert record["redone"] == {"00001-1.png": "decoder.conv_out"}
    settings = infotext_of("00001-1.png")
    assert (settings["VAE"], settings["VAE hash"]) == ("vae", "abcdefabcd")


def test_a_second_pass_and_a_variation_in_the_text(fake_pipeline: type[FakePipeline]) -> None:
    options = (
        "--hires 1.5 --hires-upscaler lanczos --hires-strength 0.4 --hires-steps 5 "
        "--hires-sampler euler_a --hires-prompt b --hires-negative c "
        "--hires-schedule karras --hires-guidance 3 "
        "--variation 0.25 --variation-seed 30 --seed-resize 64x32 --seed 7 --count 2 --batch 1"
    )
    done = run("txt2img", "a pear", *options.split(), "-o", "out.png")
    assert done.exit_code == 0, done.stderr
    variations = [settings.variation for settings in fake_pipeline.runs]
    assert [(each.seed, each.strength) for each in variations if each] == [(30, 0.25), (31, 0.25)]
    expected = {
        "Seed": "7",
        "Size": "16x24",
        "Variation seed": "31",
        "Variation seed strength": "0.25",
        "Seed resize from": "64x32",
        "Denoising strength": "0.4",
        "Hires upscale": "1.5",
        "Hires upscaler": "Lanczos",
        "Hires steps": "5",
        "Hires sampler": "Euler a",
        "Hires schedule type": "Karras",
        "Hires CFG Scale": "3",
        "Hires prompt": "b",
        "Hires negative prompt": "c",
    }
    assert expected.items() <= infotext_of("out-2.png").items()


def test_no_arguments_show_the_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_status() == 2
    assert "txt2img" in "".join(capfd.readouterr())


@pytest.mark.usefixtures("fake_pipeline")
def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The line and the status stay."""
    assert exit_status("txt2img", "a", "--steps", "0", "--debug") == 2
    monkeypatch.setenv("AVILA_DEBUG", "1")
    assert exit_status("txt2img", "a", "--steps", "0") == 2
    lines = capfd.readouterr().err.splitlines()
    assert [lines.count(each) for each in (TRACEBACK, WRONG_STEPS)] == [2, 2]


@pytest.mark.usefixtures("fake_pipeline")
def test_errors_of_devices_are_reported_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_device(*, checks: bool = True) -> Device:
        os.write(2, b"Warning: from a driver\n")
        raise DeviceNotFoundError("no GPU adapter was found. Install one")

    monkeypatch.setattr(Device, "auto", no_device)
    assert exit_status("txt2img", "a") == 2
    assert capfd.readouterr().err == "avila: no GPU adapter was found. Install one\n"


def test_a_device_without_f16_is_reported(device: Device) -> None:
    if device.has_f16:
        assert find_dtype("f16", device) is f16
        return
    with pytest.raises(SettingsError, match="has no f16; give f32"):
        find_dtype("f16", device)


def test_warnings_take_one_line(
    fake_pipeline: type[FakePipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate(_: object, settings: Settings) -> Iterator[Result]:
        warnings.simplefilter("default")  # pytest makes errors of them
        for message in ("numbers beyond ±10 are cut", "eta changes nothing", "rho is idle"):
            warnings.warn(message, stacklevel=1)
        yield Result([], [], settings, [], NO_LATENTS)

    monkeypatch.setattr(fake_pipeline, "generate", generate)
    assert run("txt2img", "a").stderr.splitlines()[:3] == [
        "avila: warning: numbers beyond ±10 are cut",
        "avila: warning: --eta changes nothing",
        "avila: warning: --set rho is idle",
    ]


def test_stopping_keeps_what_is_finished(
    fake_pipeline: type[FakePipeline], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_pipeline.stop_at_run = 2
    assert exit_status("txt2img", "a", "--count", "3", "--batch", "1", "--seed", "1") == 130
    stdout, stderr = capfd.readouterr()
    assert stdout == "00001-1.png\n"
    assert stderr == "avila: stopped; 1 of 3 pictures were finished\n"
    assert file_names(tmp_path) == ["00001-1.png"]
    assert fake_pipeline.closed == [True, True]


def test_a_real_run(tmp_path: Path) -> None:
    """The bundled model on the best device here: one seed, one picture."""
    arguments = ["a red apple", "--steps", "2", "--size", "64x64", "--json", "--output"]
    found = []
    for name in ("one.png", "two.png"):
        done = run("txt2img", *arguments, str(tmp_path / name), "--seed", "1")
        assert done.exit_code == 0, done.stderr
        record = json.loads(done.stdout)
        assert record["model"]["name"] == "emoji"
        with Image.open(record["files"][0]) as image:
            assert image.size == (64, 64)
            found.append(image.tobytes())
    assert found[0] == found[1]
    assert len(set(found[0])) > 16
    assert infotext_of(tmp_path / "one.png")["Model"] == "emoji"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_a_real_ctrl_c(tmp_path: Path) -> None:
    """Interrupted once the first picture is there: it stays whole, nothing else is left."""
    command = ["txt2img", "a", "--count", "400", "--batch", "1", "--steps", "2", "--size", "64x64"]
    process = subprocess.Popen(
        [sys.executable, "-m", "diffusion.cli", *command, "--output", f"{tmp_path}/"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(1200):
        if any(re.match(r"\d", path.name) for path in tmp_path.iterdir()):
            break
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    try:
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    finished = file_names(tmp_path)
    assert [Path(line).name for line in stdout.splitlines()] == finished
    assert f"avila: stopped; {len(finished)} of 400 pictures were finished\n" in stderr
    assert "Traceback" not in stderr
    for name in finished:
        assert read_infotext(tmp_path / name)
