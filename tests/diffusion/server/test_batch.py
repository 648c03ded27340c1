"""``avila batch``: lines become pictures and records, each exactly once."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffusion.drafts import lock_file
from diffusion.infotext.files import read_infotext
from diffusion.server.batch.launch import BatchWork, run_batch
from diffusion.server.batch.options import BatchOptions
from diffusion.server.engine.interface import Engine
from diffusion.server.engine.messages import Command, Draw
from diffusion.server.engine.process import Patience, ProcessEngine
from tests.diffusion.cli.fake_pipeline import file_names, run
from tests.diffusion.server.fake_engine import FakeEngine
from tests.diffusion.server.fake_studio import FakeStudio
from tests.diffusion.server.model_folders import copy_model, copy_vae
from tests.processes import environment

Record = dict[str, Any]


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[FakeEngine]:
    """Return the engines of batches, one in each; the folder of the test is the current one."""
    made: list[FakeEngine] = []

    def make(self: BatchOptions) -> Sequence[Engine]:
        made.append(FakeEngine())
        return made[-1:]

    monkeypatch.setattr(BatchOptions, "engines", make)
    monkeypatch.chdir(tmp_path)
    return made


def write_lines(*lines: Record | str, name: str = "a.jsonl") -> Path:
    file = Path(name)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts))
    return file


def records(folder: Path = Path("a")) -> list[Record]:
    lines = (folder / "results.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def drawn_seeds(engines: Sequence[FakeEngine]) -> list[int]:
    return [settings.seed for engine in engines for settings in engine.drawn]


def test_each_line_becomes_its_pictures_and_a_record(engines: list[FakeEngine]) -> None:
    file = write_lines(
        "# a comment",
        {"prompt": "a fox", "seed": 7, "count": 2, "width": 32},
        "",
        {"prompt": "a cat", "seed": 9, "id": "cat"},
    )
    done = run("batch", file, "--set", "steps=1", "--set", "width=16", "--set", "height=8")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == ["a/00002-1.png", "a/00002-2.png", "a/cat.png"]
    assert "2 lines: 2 done" in done.stderr
    assert file_names(Path("a")) == ["00002-1.png", "00002-2.png", "cat.png", "results.jsonl"]
    first, second = records()
    assert (first["line"], first["id"], first["state"], first["seed"]) == (2, "00002", "done", 7)
    assert [each["seed"] for each in first["pictures"]] == [7, 8]
    assert [each["width"] for each in first["pictures"]] == [32, 32]
    assert (second["line"], second["id"], second["pictures"][0]["width"]) == (4, "cat", 16)
    for picture in (*first["pictures"], *second["pictures"]):
        path = Path("a") / picture["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == picture["sha256"]
        assert f"Seed: {picture['seed']}" in (read_infotext(path) or "")
    assert [each.steps for each in engines[0].drawn] == [1, 1, 1]


def test_all_fields_of_a_job_reach_the_worker(engines: list[FakeEngine]) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (24, 16), (9, 8, 7)).save(picture, "PNG")
    image = base64.b64encode(picture.getvalue()).decode()
    line = {"prompt": "a fox", "init_image": {"image": image, "strength": 0.5}, "clip_skip": 2}
    done = run("batch", write_lines(line), "--set", "guidance_options.rescale=0.25")
    assert done.exit_code == 0, done.stderr
    (settings,) = engines[0].drawn
    assert settings.init_image is not None
    assert settings.init_image.strength == 0.5
    assert (settings.clip_skip, settings.guidance_options.rescale) == (2, 0.25)


BAD = [
    ("not JSON", 'must be JSON, such as {"prompt": "a fox"}'),
    ("[1]", "must be an object"),
    ("{}", "prompt must be given"),
    ('{"prompt": 5}', "prompt: input should be a valid string"),
    ('{"prompt": "a", "stepz": 3}', "'stepz' is no field of a job"),
    ('{"prompt": "a", "steps": 0}', "steps must be"),
    ('{"prompt": "a", "sampler": "eular"}', "did you mean euler"),
    ('{"prompt": "a", "model": "/etc/passwd"}', "there is no model '/etc/passwd'"),
    ('{"prompt": "a", "id": "../b"}', "id must be 1 to 100 letters"),
    ('{"prompt": "a", "id": "good"}', "line 1 has it"),
    ('{"prompt": "a", "init_image": {"image": "file:///etc/passwd"}}', "no URL is fetched"),
    ("\udcff", "must be JSON"),
    ("[" * 100_000, "must be JSON"),
]


def test_bad_lines_are_told_with_their_numbers_and_the_others_drawn(
    engines: list[FakeEngine],
) -> None:
    lines = ['{"prompt": "a", "id": "good"}', *(line for line, _ in BAD), '{"prompt": "b"}']
    Path("a.jsonl").write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    done = run("batch", "a.jsonl")
    assert done.exit_code == 2
    for number, (_, words) in enumerate(BAD, 2):
        assert f"a.jsonl line {number}: " in done.stderr
        told = next(each for each in done.stderr.splitlines() if f" line {number}: " in each)
        assert words in told
        (record,) = (each for each in records() if each["line"] == number)
        assert record["state"] == "failed"
        assert words in record["message"]
    assert [each["line"] for each in records() if each["state"] == "done"] == [1, len(lines)]
    again = run("batch", "a.jsonl")
    assert again.exit_code == 2
    assert len(records()) == len(lines)
    assert len(engines) == 1, "nothing was left, so that no worker was started"


def test_strict_draws_nothing_where_a_line_is_wrong(engines: list[FakeEngine]) -> None:
    done = run("batch", write_lines({"prompt": "a"}, "{}"), "--strict")
    assert done.exit_code == 2
    assert "1 of 2 lines are wrong" in done.stderr
    assert not Path("a").exists()
    assert engines == []


def test_a_line_that_fails_leaves_the_others_and_can_be_tried_again(
    engines: list[FakeEngine],
) -> None:
    file = write_lines({"prompt": "fail", "seed": 1}, {"prompt": "good", "seed": 2})
    done = run("batch", file)
    assert done.exit_code == 2
    assert "line 1: the VAE: numbers are infinite or NaN" in done.stderr
    assert run("batch", file).exit_code == 2
    assert drawn_seeds(engines) == [1, 2]
    assert run("batch", file, "--retry-failed").exit_code == 2
    assert drawn_seeds(engines) == [1, 2, 1]
    assert [(each["line"], each["state"]) for each in records()] == [
        (1, "failed"),
        (2, "done"),
        (1, "failed"),
    ]


def test_new_lines_are_drawn_and_finished_ones_are_not(engines: list[FakeEngine]) -> None:
    run("batch", write_lines({"prompt": "a", "seed": 1}, {"prompt": "a", "seed": 1}))
    before = (Path("a") / "00001.png").stat().st_mtime_ns
    lines = [{"prompt": "new", "seed": 3}, {"prompt": "a", "seed": 1}, {"prompt": "a", "seed": 1}]
    done = run("batch", write_lines(*lines))
    assert done.exit_code == 0
    assert drawn_seeds(engines) == [1, 1, 3]
    (new,) = (each for each in records() if each["seed"] == 3)
    assert new["pictures"][0]["file"] == f"00001-{new['key'][:8]}.png", "the name was taken"
    assert (Path("a") / "00001.png").stat().st_mtime_ns == before
    for _ in range(3):
        names = file_names(Path("a"))
        assert run("batch", "a.jsonl", "--restart").exit_code == 0
        assert len(records()) == 3
        assert len(file_names(Path("a"))) == len(names) + 3, "no file is replaced"


def test_names_are_never_those_of_other_files(engines: list[FakeEngine]) -> None:
    Path("a").mkdir()
    (Path("a") / "B.png").write_bytes(b"mine")
    lines: list[Record] = [{"prompt": "1", "id": "b"}, {"prompt": "2", "id": "c", "count": 2}]
    lines += [{"prompt": "3", "id": "c-1"}, {"prompt": "4", "id": "B.PNG"}]
    (Path("a") / "b.png").write_bytes(b"mine, too")
    assert run("batch", write_lines(*lines)).exit_code == 0
    names = [picture["file"] for each in records() for picture in each["pictures"]]
    assert len({name.casefold() for name in names}) == 5
    assert (Path("a") / "b.png").read_bytes() == b"mine, too"
    assert (Path("a") / "B.png").read_bytes() == b"mine"


def test_a_second_run_at_once_is_refused(engines: list[FakeEngine]) -> None:
    file = write_lines({"prompt": "a"})
    Path("a").mkdir()
    with (Path("a") / "results.jsonl").open("a+b") as results:
        assert lock_file(results)
        done = run("batch", file)
    assert done.exit_code == 2
    assert "another run writes here" in done.stderr


def test_two_files_share_a_folder_one_after_the_other(engines: list[FakeEngine]) -> None:
    for name in ("a.jsonl", "b.jsonl", "a.jsonl"):
        file = write_lines({"prompt": name, "seed": 1}, name=name)
        assert run("batch", file, "--output", "a").exit_code == 0
    assert [each["line"] for each in records()] == [1, 1]
    assert len(file_names(Path("a"))) == 3, "two pictures and the results"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.jsonl", "no JSON\n"),
        ("results.jsonl", '{"line": 1}\n'),
        ("a.jsonl.progress", '{"key": "k", "names": ["../../b.png"]}\n'),
        ("a.jsonl.progress", '{"key": "k", "number": 0, "picture": {"file": "/b.png"}}\n'),
    ],
)
def test_files_that_a_batch_did_not_write_are_refused(
    engines: list[FakeEngine], name: str, text: str
) -> None:
    Path("a").mkdir()
    (Path("a") / name).write_text(text)
    done = run("batch", write_lines({"prompt": "a"}))
    assert done.exit_code == 2
    assert "it is not what a batch writes" in done.stderr
    assert engines == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "steps"], "must be NAME=VALUE"),
        (["--set", "id=x"], "must be a field of several lines"),
        (["--set", "steps=1", "--set", "steps.x=1"], "must not come with another value of steps"),
        (["--workers", "2"], "needs --ray ADDRESS"),
        (["--ray", "auto", "--devices", "all"], "must not be given with --ray"),
        (["--models", "none"], "must be a folder"),
        (["--model", "owner/none"], "not in the cache"),
        (["--vram", "much"], "vram must be a size such as 8GB"),
        (["--dtype", "f64"], "dtype"),
        (["--weights", "q9"], "must be one of f16, fp8"),
    ],
)
def test_wrong_options_are_told(
    engines: list[FakeEngine], arguments: list[str], words: str
) -> None:
    done = run("batch", write_lines({"prompt": "a"}), *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert not Path("a").exists()


def test_a_file_that_is_missing_or_empty_is_told(engines: list[FakeEngine]) -> None:
    assert "cannot be read" in run("batch", "none.jsonl").stderr
    assert "it has no lines with jobs" in run("batch", write_lines("# nothing")).stderr


def test_records_go_to_stdout_as_json(engines: list[FakeEngine]) -> None:
    done = run("batch", write_lines({"prompt": "a"}, "{}"), "--json", "--output", "b")
    assert [json.loads(line) for line in done.stdout.splitlines()] == records(Path("b"))


def test_a_batch_that_is_stopped_ends_what_runs_and_goes_on_later(
    engines: list[FakeEngine],
) -> None:
    file = write_lines(*({"prompt": str(i), "seed": i} for i in range(6)))
    reporter = StoppingReporter(after=2)
    states = run_batch(BatchWork(file, None, {"steps": 2}), BatchOptions(), reporter)
    assert states == {"done": 3, "failed": 0, "left": 3}, "the third had begun"
    assert run("batch", file, "--set", "steps=2").exit_code == 0
    assert drawn_seeds(engines) == list(range(6))


class StoppingReporter:
    """A reporter that stops a batch ``after`` some pictures."""

    def __init__(self, after: int) -> None:
        self.left = after

    def warn(self, text: str) -> None:
        raise AssertionError(text)

    def begin(self, left: int, total: int) -> None:
        assert (left, total) == (6, 6)

    def count_picture(self) -> None:
        self.left -= 1

    def tell(self, record: Record) -> None:
        assert record["state"] == "done"

    def stopping(self) -> bool:
        return self.left <= 0


def test_a_full_disk_ends_a_batch_that_goes_on_later(
    engines: list[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_lines({"prompt": "a", "seed": 1}, {"prompt": "b", "seed": 2})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail_as_full)
        done = run("batch", file)
    assert done.exit_code == 2
    assert "No space left on device" in done.stderr
    assert "the same command goes on from here" in done.stderr
    assert run("batch", file).exit_code == 0
    assert [each["seed"] for each in records()] == [1, 2]


def fail_as_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ------------------------------------------------------------------ loss and kills


class DyingEngine(FakeEngine):
    """Loses once what it draws: when it is given its third job."""

    sent = 0

    def send(self, command: Command) -> None:
        super().send(command)
        self.sent += isinstance(command, Draw)
        if isinstance(command, Draw) and self.sent == 3:
            self.lose()


def test_what_a_lost_engine_drew_is_drawn_by_others(
    engines: list[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = [DyingEngine(), FakeEngine()]
    monkeypatch.setattr(BatchOptions, "engines", lambda _: pair)
    lines = [{"prompt": str(i), "seed": i} for i in range(10)]
    assert run("batch", write_lines(*lines), "--set", "steps=2").exit_code == 0
    assert sorted(each["seed"] for each in records()) == list(range(10))
    assert all(engine.drawn for engine in pair)


@pytest.mark.slow
def test_a_line_that_brings_its_worker_down_fails_alone(
    engines: list[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker = ProcessEngine("worker", FakeStudio(jobs=2), Patience())
    monkeypatch.setattr(BatchOptions, "engines", lambda _: [worker])
    bad = {"prompt": f"always crash {tmp_path / 'mark'}"}
    done = run("batch", write_lines({"prompt": "a"}, bad, {"prompt": "b"}))
    assert done.exit_code == 2
    states = {each["line"]: each["state"] for each in records()}
    assert states == {1: "done", 2: "failed", 3: "done"}
    assert "the worker was lost 2 times" in done.stderr


LINES: list[Record | str] = [
    {"prompt": "a", "seed": 1, "count": 3},
    {"prompt": "random"},
    "{}",
    {"prompt": "b", "seed": 5, "id": "b"},
    {"prompt": "a", "seed": 1, "count": 3},
]
FEW = (5, 14)
POINTS = [*FEW, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 45) if n not in FEW)]


def run_process(point: int, file: Path, folder: Path) -> int:
    command = [sys.executable, "-m", "tests.diffusion.server.fake_batch"]
    arguments = [str(point), str(file), str(folder)]
    return subprocess.run(
        [*command, *arguments], env=environment(), capture_output=True, timeout=120, check=False
    ).returncode


@pytest.mark.parametrize("point", POINTS)
def test_kill_9_at_any_write_leaves_each_output_exactly_once(
    engines: list[FakeEngine], tmp_path: Path, point: int
) -> None:
    file, folder = write_lines(*LINES).resolve(), tmp_path / "a"
    assert run_process(point, file, folder) == -signal.SIGKILL
    kept = {each["key"]: each for each in records()} if (folder / "results.jsonl").exists() else {}
    assert run("batch", file, "--output", folder, "--set", "steps=1").exit_code == 2
    check_results(folder)
    assert all(each in records() for each in kept.values()), "no record is lost or changed"


def check_results(folder: Path, kills: int = 1) -> None:
    """Check that each line has one record and each picture one file, with its bits."""
    found = records(folder)
    assert sorted(each["line"] for each in found) == [1, 2, 3, 4, 5]
    pictures = [picture for each in found for picture in each["pictures"]]
    files = [picture["file"] for picture in pictures]
    drafts = [name for name in file_names(folder) if name.startswith(".avila-")]
    others = {"results.jsonl", "a.jsonl.progress", *drafts}
    assert sorted(files) == sorted(set(file_names(folder)) - others)
    assert len(drafts) <= kills, "what each left is swept a minute later"
    for picture in pictures:
        data = (folder / picture["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == picture["sha256"]
    seeds = {each["line"]: [p["seed"] for p in each["pictures"]] for each in found}
    assert (seeds[1], seeds[4], seeds[5]) == ([1, 2, 3], [5], [1, 2, 3])


@pytest.mark.slow
def test_many_kills_in_a_row_come_to_an_end(engines: list[FakeEngine], tmp_path: Path) -> None:
    """Each run is killed a few writes after the last one's end."""
    file, folder = write_lines(*LINES).resolve(), tmp_path / "a"
    ends = [run_process(8, file, folder) for _ in range(30)]
    assert ends[0] == -signal.SIGKILL
    assert ends[-1] == 2, "all was drawn in the end"
    check_results(folder, ends.count(-signal.SIGKILL))


def test_a_record_that_a_kill_cut_off_is_written_again(engines: list[FakeEngine]) -> None:
    assert run("batch", write_lines({"prompt": "a"}, {"prompt": "b"}, "{}")).exit_code == 2
    for name in ("results.jsonl", "a.jsonl.progress"):
        path = Path("a") / name
        path.write_bytes(path.read_bytes()[:-9])
    before = records_but_last()
    assert run("batch", "a.jsonl").exit_code == 2
    assert records()[:2] == before
    assert sorted(each["line"] for each in records()) == [1, 2, 3]


def records_but_last() -> list[Record]:
    text = (Path("a") / "results.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()[:-1]]


def test_lines_name_other_networks(engines: list[FakeEngine], tmp_path: Path) -> None:
    """A VAE, a refiner and a model of hires fix; a wrong name fails its line alone."""
    copy_vae(tmp_path / "vaes" / "warm", 0.5)
    copy_model(tmp_path / "models" / "second", 0.9)
    small = {"prompt": "x", "seed": 1, "steps": 1}
    file = write_lines(
        {**small, "vae": "warm", "refiner": {"model": "second", "switch": 0.5}},
        {**small, "hires": {"model": "second"}},
        {**small, "vae": "cold"},
        {**small, "refiner": {"model": "third"}},
    )
    plain = json.loads(BatchOptions().identity)
    assert json.loads(BatchOptions(vaes=Path("vaes")).identity) == [*plain, "vaes"]
    done = run("batch", file, "--models", "models", "--vaes", "vaes")
    assert done.exit_code == 2, done.stderr
    first, second = (each.beside for each in engines[0].tasks)
    assert first.vae == (tmp_path / "vaes" / "warm").resolve()
    assert (first.refiner, first.switch) == (Path("models/second"), 0.5)
    assert (second.vae, second.hires) == (None, Path("models/second"))
    reasons = [each["message"] for each in records() if each["state"] == "failed"]
    assert "has no such VAE" in reasons[0]
    assert "there is no model" in reasons[1]
