"""The command: what it writes and prints, how it fails, how it stops. One real run at the end."""

from __future__ import annotations

import contextlib
import itertools
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
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from diffusion import DiffusionError, Result, Settings, Stage, Step
from diffusion.cli import main, output
from diffusion.cli.interruption import interruptible
from diffusion.cli.native_messages import held_back
from diffusion.cli.networks import chosen_dtype
from diffusion.cli.program import app
from diffusion.errors import ModelNotFoundError, OutputError, SettingsError
from diffusion.infotext.grammar import parse_infotext, read_infotext
from diffusion.samplers import SAMPLERS
from diffusion.schedules import SCHEDULES
from diffusion.settings import Defaults
from gpucore import Device, DeviceNotFoundError, DType, f16, f32
from gpucore.adapters import DEVICE_VARIABLE
from gpucore.doctor.report import AdapterReport, EngineReport, Machine, Problem, Report
from gpucore.doctor.selftest import Check, adapter_record
from tests.processes import environment

ROOT = Path(__file__).parents[2]
RED, BLUE = (255, 0, 0), (0, 0, 255)


class PretendedStep(Step):
    """A step that was never computed."""

    def wait(self) -> None:
        """It is done."""

    def preview(self) -> list[Image.Image]:
        """A blue square for each image."""
        return [Image.new("RGB", (16, 24), BLUE) for _ in self.image_numbers]


class PretendedPipeline:
    """Draws a red square at once; stands in for a loaded model."""

    model_name = "pretended"
    model_hash = "0123456789"
    vae_hash = "abcdefabcd"
    defaults = Defaults(width=16, height=24, steps=3)
    loaded: list[Path | None]
    lacked: list[tuple[Path | None, str | None]]
    parts: list[tuple[type[DType] | None, Path | None]]
    previewed: list[Path | None]
    redone: str | None
    ran: list[Settings]
    closed: list[bool]
    stop_at_run: int | None

    def __init__(self, device: Device) -> None:
        self.device = device

    @classmethod
    def load(
        cls,
        model: Path | None,
        device: Device,
        dtype: type[DType] | None,
        *,
        vae: Path | None,
        preview: Path | None,
        tokenizer: Path | None,
        prediction: str | None,
    ) -> PretendedPipeline:
        cls.loaded.append(model)
        cls.lacked.append((tokenizer, prediction))
        cls.parts.append((dtype, vae))
        cls.previewed.append(preview)
        if model is not None:
            raise ModelNotFoundError(model, "there is no such model folder", "check the path")
        return cls(device)

    def generate(self, settings: Settings) -> Iterator[Stage | Step | Result]:
        self.ran.append(settings)
        steps, numbers = settings.steps or 0, tuple(range(settings.count))
        try:
            yield Stage("encoding prompt")
            yield Stage("preparing")
            for index in range(1, steps + 1):
                if len(self.ran) == self.stop_at_run and index == 2:
                    raise KeyboardInterrupt
                yield PretendedStep(index, steps, 0.5, numbers, None, self, None)  # type: ignore[arg-type]
            yield Stage("decoding")
            size = (settings.width or 0, settings.height or 0)
            images = [Image.new("RGB", size, RED) for _ in range(settings.count)]
            seeds = [settings.seed + i for i in range(settings.count)]
            yield Result(images, seeds, settings, [self.redone] * settings.count)
        finally:
            self.closed.append(True)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[PretendedPipeline]:
    """The stand-in in the command's place of a pipeline, and an empty folder to run in."""
    PretendedPipeline.loaded, PretendedPipeline.ran, PretendedPipeline.closed = [], [], []
    PretendedPipeline.lacked, PretendedPipeline.parts = [], []
    PretendedPipeline.previewed = []
    PretendedPipeline.redone = None
    PretendedPipeline.stop_at_run = None
    monkeypatch.setattr(sys.modules["diffusion.cli.job"], "Pipeline", PretendedPipeline)
    monkeypatch.setenv(DEVICE_VARIABLE, "null")
    monkeypatch.delenv("AVILA_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return PretendedPipeline


def run(*arguments: str) -> Any:
    """The command in this process; standard streams apart."""
    return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, list(arguments))


def status_of(*arguments: str) -> int:
    """Exit status of the whole program."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("pretended")
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


def test_every_option_reaches_the_pipeline(pretended: type[PretendedPipeline]) -> None:
    options = (
        "--negative b --size 64x32 --seed 5 --count 2 --steps 4 --guidance 2.5 --eta 0.5 "
        "--batch 2 --sampler euler_a --schedule karras"
    )
    assert run("txt2img", "a", *options.split()).exit_code == 0
    assert pretended.ran == [Settings("a", "b", 64, 32, 4, 2.5, "euler_a", "karras", 5, 2, 2, 0.5)]
    settings = parse_infotext(read_infotext("00002-6.png") or "").settings
    assert settings["Sampler"] == "Euler a"
    assert settings["Schedule type"] == "Karras"
    assert (settings["Seed"], settings["Eta"]) == ("6", "0.5")


def test_an_empty_prompt_is_one(pretended: type[PretendedPipeline]) -> None:
    assert run("txt2img", "", "--seed", "1").exit_code == 0
    assert pretended.ran[0].prompt == ""


def test_a_random_seed_is_told(pretended: type[PretendedPipeline], tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        done = run("txt2img", "a")
        told.append(int(re.search(r"seed (\d+),", done.stderr)[1]))  # type: ignore[index]
    assert told == [settings.seed for settings in pretended.ran]
    assert told[0] != told[1]
    assert names(tmp_path) == [f"00001-{told[0]}.png", f"00002-{told[1]}.png"]


def test_pictures_are_made_in_batches(pretended: type[PretendedPipeline], tmp_path: Path) -> None:
    """Each batch is a run of its own, so that its pictures are on disk before the next."""
    done = run("txt2img", "a", "--count", "5", "--batch", "2", "--seed", "10")
    assert [(each.seed, each.count) for each in pretended.ran] == [(10, 2), (12, 2), (14, 1)]
    assert done.stdout.split() == names(tmp_path)
    assert names(tmp_path) == [f"{i + 1:05d}-{10 + i}.png" for i in range(5)]


@pytest.mark.usefixtures("pretended")
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


@pytest.mark.usefixtures("pretended")
def test_a_file_is_replaced_and_several_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "apple.png").write_bytes(b"old")
    assert run("txt2img", "a", "-o", "apple.png").stdout == "apple.png\n"
    with Image.open("apple.png") as image:
        assert image.size == (16, 24)
    assert run("txt2img", "a", "-o", "new/pear.png", "--count", "2").exit_code == 0
    assert names(tmp_path / "new") == ["pear-1.png", "pear-2.png"]
    assert names(tmp_path) == ["apple.png", "new"]


@pytest.mark.usefixtures("pretended")
def test_a_folder_is_never_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for name in ("00004-1.png", "100001-x.PNG", "7-1.png", "notes.txt"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"old")
    assert run("txt2img", "a", "-o", "pictures", "--seed", "1").exit_code == 0
    assert "100002-1.png" in names(folder)
    assert (folder / "00004-1.png").read_bytes() == b"old"
    assert run("txt2img", "a", "-o", "dotted.folder/", "--seed", "2").exit_code == 0
    assert names(tmp_path / "dotted.folder") == ["00001-2.png"]


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_a_name_taken_meanwhile_is_left_alone(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: object, target: object) -> None:
        raise PermissionError(1, "no links here")

    if not links:
        monkeypatch.setattr(output.os, "link", no_links)
    place = output.Output.named(f"{tmp_path}/")
    monkeypatch.setattr(output.Output, "_next_number", lambda _: 1)
    (tmp_path / "00001-9.png").write_bytes(b"another's")
    written = place.save(Image.new("RGB", (8, 8), BLUE), 9, 1, 1, "text")
    assert written.name == "00002-9.png"
    assert read_infotext(written) == "text"
    assert (tmp_path / "00001-9.png").read_bytes() == b"another's"
    assert names(tmp_path) == ["00001-9.png", "00002-9.png"]
    assert written.stat().st_mode & 0o777 == 0o666 & ~output._umask()


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    class Broken(Image.Image):
        def save(self, *_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

    place = output.Output.named(str(tmp_path / "a.png"))
    with pytest.raises(OutputError, match="No space left on device"):
        place.save(Broken(), 1, 1, 1, "text")
    assert names(tmp_path) == []


WRONG = [
    (["--size", "63x64"], "--size width cannot be 63; give a multiple of 8, such as 64"),
    (["--size", "big"], "--size cannot be 'big'; give WIDTHxHEIGHT"),
    (["--steps", "0"], "--steps cannot be 0; give a whole number from 1 to 1000"),
    (["--steps", "many"], "'--steps'"),
    (["--guidance", "nan"], "--guidance cannot be nan"),
    (["--seed", "-2"], "--seed cannot be -2; give a whole number from 0 on, or -1"),
    (["--count", "0"], "--count cannot be 0"),
    (["--sampler", "eular"], "did you mean euler"),
    (["--schedule", "karas"], "did you mean karras"),
    (["--model", "nowhere"], "nowhere: there is no such model folder"),
    (["--device", "cuda"], "no device fits 'cuda'"),
    (["--output", "a.gif"], "a.gif: cannot be written: its name ends in .gif"),
    (["--output", "file/a.png"], "File exists"),
    (["--output", "-"], "-: cannot be written: pictures do not go to stdout; give a file or a"),
    (["--output", "file"], "file: cannot be written: it is there and is no folder; give a folder"),
    (["--output", "file/"], "file/: cannot be written: it is there and is no folder"),
    (["--colour", "red"], "No such option: --colour"),
]


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda x: " ".join(x)[:20])
def test_wrong_input_is_one_line_and_status_2(
    arguments: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert status_of("txt2img", "a", *arguments) == 2
    assert names(tmp_path) == ["file"]
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert stderr.startswith("avila: ")
    assert stderr.count("\n") == 1, stderr
    assert message in stderr
    assert names(tmp_path) == ["file"]


def test_wrong_settings_are_found_before_a_model_is_loaded(
    pretended: type[PretendedPipeline],
) -> None:
    assert status_of("txt2img", "a", "--sampler", "none of these") == 2
    assert pretended.loaded == []


@pytest.mark.usefixtures("pretended")
def test_a_missing_prompt_and_no_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert status_of("txt2img") == 2
    assert "prompt is missing; give one, or --from PICTURE" in capfd.readouterr().err
    assert status_of() == 2
    assert "txt2img" in "".join(capfd.readouterr())


@pytest.mark.usefixtures("pretended")
def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError):
        main(["txt2img", "a", "--steps", "0", "--debug"])
    monkeypatch.setenv("AVILA_DEBUG", "1")
    with pytest.raises(DiffusionError):
        main(["txt2img", "a", "--steps", "0"])


@pytest.mark.usefixtures("pretended")
def test_errors_of_devices_are_told_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_device(*, checks: bool = True) -> Device:
        os.write(2, b"Warning: from a driver\n")
        raise DeviceNotFoundError("no GPU adapter was found. Install one")

    monkeypatch.setattr(Device, "auto", no_device)
    assert status_of("txt2img", "a") == 2
    assert capfd.readouterr().err == "avila: no GPU adapter was found. Install one\n"


def test_messages_of_drivers_are_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    """Not where something fails that nobody foresaw: they may tell why."""

    def speak(shown: bool, error: BaseException | None = None) -> str:
        raised = pytest.raises(type(error)) if error else contextlib.nullcontext()
        with raised, held_back(shown):
            os.write(2, b"native\n")
            if error:
                raise error
        return capfd.readouterr().err

    assert speak(shown=False) == ""
    assert speak(shown=True) == "native\n"
    assert speak(shown=False, error=DeviceNotFoundError("none")) == ""
    assert speak(shown=False, error=KeyboardInterrupt()) == ""
    assert speak(shown=False, error=OSError("?")) == "native\n"


def test_stopping_keeps_what_is_finished(
    pretended: type[PretendedPipeline], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pretended.stop_at_run = 2
    assert status_of("txt2img", "a", "--count", "3", "--batch", "1", "--seed", "1") == 130
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert stderr == "avila: stopped; 1 of 3 pictures were finished\n"
    assert names(tmp_path) == ["00001-1.png"]
    assert pretended.closed == [True, True]


def test_help_teaches() -> None:
    text = " ".join(run("txt2img", "--help").stdout.split())
    assert 'avila txt2img "a red apple"' in text
    for name in (*SAMPLERS.names, *SCHEDULES.names, "automatic", "--output", "WxH"):
        assert name in text
    assert "doctor" in run("--help").stdout
    assert re.fullmatch(r"avila \S+\n", run("--version").stdout)


def report(works: bool, problems: tuple[Problem, ...]) -> Report:
    record = adapter_record(Device.null().info) | {"name": "Card [9]"}
    adapter = AdapterReport(record, (Check("f32 arithmetic", works, "right"),))
    return Report(Machine(), (EngineReport("dawn", None),), (adapter,), problems)


@pytest.mark.parametrize(
    ("works", "problems", "status"),
    [
        (True, (), 0),
        (True, (Problem("one engine is missing", "pip install 'x>=1'"),), 1),
        (False, (Problem("wrong numbers", "update"),), 2),
    ],
)
def test_the_doctors_status_and_words(
    works: bool, problems: tuple[Problem, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report(works, problems)
    monkeypatch.setattr(sys.modules["diffusion.cli.doctor"], "examine", lambda: found)
    done = run("doctor")
    assert done.exit_code == status
    for part in ("Card [9]", "not installed", "f32 arithmetic", *(p.fix for p in problems)):
        assert part in done.stdout
    done = run("doctor", "--json")
    assert done.exit_code == json.loads(done.stdout)["status"] == status


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
    assert parse_infotext(read_infotext(tmp_path / "one.png") or "").settings["Model"] == "emoji"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_a_second_ctrl_c_ends_the_process() -> None:
    code = """
import os, signal
from diffusion.cli.interruption import interruptible
with interruptible(lambda: print("first", flush=True)) as interruption:
    os.kill(os.getpid(), signal.SIGINT)
    assert interruption.wanted
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
    assert stdout == ""
    finished = names(tmp_path)
    assert f"avila: stopped; {len(finished)} of 400 pictures were finished\n" in stderr
    assert "Traceback" not in stderr
    for name in finished:
        assert read_infotext(tmp_path / name)


def test_warnings_take_one_line(
    pretended: type[PretendedPipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate(_: object, settings: Settings) -> Iterator[Result]:
        warnings.simplefilter("default")  # pytest makes errors of them
        for message in ("weights beyond ±10 are cut", "eta changes nothing", "rho is idle"):
            warnings.warn(message, stacklevel=1)
        yield Result([], [], settings, [])

    monkeypatch.setattr(pretended, "generate", generate)
    assert run("txt2img", "a").stderr.splitlines()[:3] == [
        "avila: warning: weights beyond ±10 are cut",
        "avila: warning: --eta changes nothing",
        "avila: warning: --set rho is idle",
    ]


def test_what_a_single_file_lacks(pretended: type[PretendedPipeline]) -> None:
    done = run("txt2img", "a", "--tokenizer", "words", "--prediction", "v")
    assert done.exit_code == 0, done.stderr
    assert pretended.lacked == [(Path("words"), "v_prediction")]
    assert run("txt2img", "a", "--prediction", "sample").exit_code == 0
    assert pretended.lacked[1:] == [(None, "sample")]
    wrong = run("txt2img", "a", "--prediction", "x")
    assert wrong.exit_code == 2
    assert "--prediction cannot be 'x'; give one of epsilon, v, sample" in wrong.stderr
    assert len(pretended.lacked) == 2


def test_networks_and_what_they_compute_in(pretended: type[PretendedPipeline]) -> None:
    pretended.redone = "decoder.conv_out"
    done = run("txt2img", "a", "--dtype", "f32", "--vae", "other/vae", "--seed", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert pretended.parts == [(f32, Path("other/vae"))]
    record = json.loads(done.stdout)
    assert record["vae"] == {"name": "vae", "hash": "abcdefabcd"}
    assert record["redone"] == {"00001-1.png": "decoder.conv_out"}
    settings = parse_infotext(read_infotext("00001-1.png") or "").settings
    assert (settings["VAE"], settings["VAE hash"]) == ("vae", "abcdefabcd")


def test_a_device_without_f16_is_told(device: Device) -> None:
    if device.has_f16:
        assert chosen_dtype("f16", device) is f16
        return
    with pytest.raises(SettingsError, match="has no f16; give f32"):
        chosen_dtype("f16", device)


def test_help_shows_prompts_as_they_are_written() -> None:
    text = " ".join(run("txt2img", "--help").stdout.split())
    assert "[x:y:0.5] is x, then y" in text


@pytest.mark.parametrize("width", [60, 80, 140])
def test_help_fills_the_terminals_lines(width: int) -> None:
    """Whatever the width of the docstring it comes from."""
    done = CliRunner(env={"COLUMNS": str(width), "NO_COLOR": "1"}).invoke(app, ["tune", "--help"])
    text = done.stdout[: done.stdout.index("─ Options")]
    lines = [line.strip() for line in text.splitlines()]
    for line, following in itertools.pairwise(lines):
        if line and following:
            assert len(line) + 1 + len(following.split()[0]) > width - 2


@pytest.mark.parametrize("command", ["txt2img", "img2img", "inpaint", "upscale", "tune", "info"])
def test_help_has_no_emoji(command: str) -> None:
    assert not [each for each in run(command, "--help").stdout if ord(each) >= 0x1F000]
