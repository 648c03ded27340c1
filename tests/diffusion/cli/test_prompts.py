"""``--prompts``: every prompt of a file, each picture exactly once, however often it is killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from diffusion.cli import output
from diffusion.cli.series.journal import Journal
from diffusion.infotext.files import read_infotext
from diffusion.infotext.grammar import parse_infotext
from tests.diffusion.cli.fake_pipeline import FakePipeline, exit_status, file_names, run

LINES = ["# animals", "", "a fox", "[a|b] dog", "a fox"]


@pytest.fixture
def prompts(fake_pipeline: type[FakePipeline]) -> type[FakePipeline]:
    Path("p.txt").write_text("\n".join(LINES), encoding="utf-8")
    return fake_pipeline


def prompts_in(folder: Path) -> list[str]:
    """Return the prompts of all pictures in a folder, sorted."""
    texts = (read_infotext(file) or "" for file in folder.glob("*.png"))
    return sorted(parse_infotext(text).prompt for text in texts)


def test_one_prompt_a_line(prompts: type[FakePipeline], tmp_path: Path) -> None:
    done = run("txt2img", "--prompts", "p.txt", "--steps", "2", "-o", "out/")
    assert done.exit_code == 0, done.stderr
    assert [each.prompt for each in prompts.runs] == ["a fox", "[a|b] dog", "a fox"]
    assert {each.steps for each in prompts.runs} == {2}
    assert len({each.seed for each in prompts.runs}) == 3
    assert len(done.stdout.split()) == 3
    assert file_names(tmp_path / "out") == [Path(name).name for name in done.stdout.split()]
    assert len(prompts.loads) == 1


def test_lines_of_json(prompts: type[FakePipeline]) -> None:
    records = [
        {"prompt": "a", "steps": 4, "seed": 7, "width": 64, "height": 32, "cfg_scale": 3},
        {"prompt": "b", "negative_prompt": "c", "hires": 1.5, "set": ["rho=5"], "zero-snr": True},
    ]
    Path("p.jsonl").write_text("\n".join(map(json.dumps, records)))
    done = run("txt2img", "--prompts", "p.jsonl", "--json")
    assert done.exit_code == 0, done.stderr
    first, second = prompts.runs
    assert (first.prompt, first.steps, first.seed, first.guidance) == ("a", 4, 7, 3.0)
    assert (first.width, first.height) == (64, 32)
    assert (second.negative, second.zero_snr, second.sampling.rho) == ("c", True, 5.0)
    assert second.hires is not None
    assert second.hires.scale == 1.5
    assert [len(json.loads(line)["files"]) for line in done.stdout.splitlines()] == [1, 1]


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    "line", ["img2img in.png", "inpaint in.png --mask mask.png", "upscale in.png --scale 1"]
)
def test_all_commands_that_draw_take_prompts(line: str) -> None:
    Path("p.txt").write_text("a\nb\n")
    done = run(*line.split(), "--prompts", "p.txt", "-o", "out/")
    assert done.exit_code == 0, done.stderr
    assert [each.prompt for each in FakePipeline.runs] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--prompts cannot be 'p.txt'; it holds no prompt"),
        ("a\n--steps 4", "p.txt line 2 cannot be '--steps 4'; give settings as JSON lines"),
        ('{"prompt": "a"}\nb', "p.txt line 2 must be JSON"),
        ('{"prompt": "a", "stpes": 3}', "No such option: --stpes"),
        ('{"prompt": "a", "steps": 0}', "p.txt line 1: --steps must be a whole number from 1 to"),
        ('{"prompt": "a", "steps": "x"}', "--steps must be a whole number; got 'x'"),
        ('{"prompt": "a", "output": "x"}', "p.txt line 1 cannot be 'output'"),
        ('{"prompt": "a", "steps": {}}', "p.txt line 1: --steps must be a text or a number"),
        ('{"prompt": "a", "--steps": 1}', "keys are names of options"),
        ('{"steps": 3}', "p.txt line 1: prompt is missing"),
        ("\ufffe\udc80", "it is not text in UTF-8"),
    ],
)
def test_wrong_files_are_refused_before_any_work(
    fake_pipeline: type[FakePipeline], capfd: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    Path("p.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert exit_status("txt2img", "--prompts", "p.txt") == 2
    errors = capfd.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert fake_pipeline.loads == []


class Kill(BaseException):
    """What ends a run at once, as a signal would."""


MOMENTS = {
    "before the file": (output, "write_temporary_file"),
    "before the claim": (Journal, "claim"),
    "between the claim and the name": (output, "_move_to_free_name"),
    "between the name and the journal": (Journal, "confirm"),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("place", ["out/", "out/{prompt}.png", "out/a.png"])
@pytest.mark.parametrize("call", [1, 2, 4])
def test_each_picture_is_drawn_once_after_a_kill(
    prompts: type[FakePipeline],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    moment: str,
    place: str,
    call: int,
) -> None:
    """The journal is what a kill leaves: the run is ended in the middle of a picture."""
    owner, name = MOMENTS[moment]
    calls = 0
    original = getattr(owner, name)

    def kill(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Kill(moment)
        return original(*arguments, **options)

    def kill_path(path: Path, target: Path) -> object:
        return kill(path, target)

    line = ["txt2img", "--prompts", "p.txt", "--count", "2", "--batch", "1", "-o", place]
    monkeypatch.setattr(owner, name, kill)
    if (place, name) == ("out/a.png", "_move_to_free_name"):
        monkeypatch.setattr(owner, name, original)
        original = Path.replace
        monkeypatch.setattr(Path, "replace", kill_path)
    with pytest.raises(Kill):
        run(*line)
    calls = -100
    for draft in (tmp_path / "out").glob(".avila-*"):
        draft.unlink()
    done = run(*line)
    assert done.exit_code == 0, done.stderr
    assert prompts_in(tmp_path / "out") == ["[a|b] dog"] * 2 + ["a fox"] * 4
    assert not list((tmp_path / "out").glob("*.progress"))
    pairs = {(each.prompt, each.seed) for each in prompts.runs}
    assert len(pairs) == 6  # a picture that is drawn again has its seed


def test_ctrl_c_keeps_the_journal_and_restart_begins_anew(
    prompts: type[FakePipeline], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prompts.stop_at_run = 2
    line = ["txt2img", "--prompts", "p.txt", "-o", "out/"]
    assert exit_status(*line) == 130
    assert "the same command goes on from there" in capfd.readouterr().err
    assert "p.txt.progress" in file_names(tmp_path / "out")
    prompts.reset()
    assert exit_status(*line) == 0
    assert [each.prompt for each in prompts.runs] == ["[a|b] dog", "a fox"]
    assert exit_status(*line) == 0  # a finished series begins anew
    assert len(prompts.runs) == 5
    prompts.stop_at_run = 6
    assert exit_status(*line, "--restart") == 130
    prompts.stop_at_run = None
    assert exit_status(*line, "--restart") == 0
    assert [each.prompt for each in prompts.runs[-3:]] == ["a fox", "[a|b] dog", "a fox"]


def test_other_settings_are_other_work(prompts: type[FakePipeline]) -> None:
    prompts.stop_at_run = 2
    assert exit_status("txt2img", "--prompts", "p.txt", "-o", "out/") == 130
    prompts.reset()
    assert exit_status("txt2img", "--prompts", "p.txt", "-o", "out/", "--steps", "2") == 0
    assert len(prompts.runs) == 3


def test_a_journal_that_a_kill_cut_off_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.progress"
    path.write_bytes(b'{"key": "a", "done": 0}\n{"key": "a", "do')
    journal = Journal(path)
    with journal.hold_open():
        assert journal.count_finished("a") == 1
        journal.confirm("a", 1)
    with (again := Journal(path)).hold_open():
        assert again.count_finished("a") == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no flock")
def test_a_second_run_waits_its_turn(
    prompts: type[FakePipeline], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Journal(tmp_path / "p.txt.progress").hold_open():
        assert exit_status("txt2img", "--prompts", "p.txt") == 2
    assert "another run is drawing these prompts" in capfd.readouterr().err
    assert prompts.runs == []
