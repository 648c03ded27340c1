"""``--output`` with fields: names that any file system takes, and no file that is replaced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from diffusion.cli.file_names import FIELDS, Values, fill_pattern
from tests.diffusion.cli.fake_pipeline import FakePipeline, exit_status, file_names, run

VALUES: Values = {
    "seed": 7,
    "index": 2,
    "number": 3,
    "steps": 20,
    "guidance": 7.5,
    "width": 64,
    "height": 48,
    "sampler": "euler",
    "schedule": "karras",
    "model": "sd15",
    "negative": "",
    "prompt": "a red apple",
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{seed}-{prompt}.png", "7-a_red_apple.png"),
        ("{model}/{sampler}_{schedule}/{index:03}.jpg", "sd15/euler_karras/002.jpg"),
        ("{number}-{width}x{height}-{guidance}.png", "00003-64x48-7.5.png"),
        ("{prompt:5}{{x}}.png", "a_red{x}.png"),
        ("{negative}.png", "_.png"),
    ],
)
def test_fields(pattern: str, expected: str) -> None:
    assert str(fill_pattern(pattern, VALUES)) == expected


def test_dates() -> None:
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d", str(fill_pattern("{date}/{time}", VALUES))
    )
    assert re.fullmatch(r"\d{4}_\d\d", str(fill_pattern("{date:%Y/%m}", VALUES)))


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("a\x00b\n\x1b[31m:*?c", "a_b_[31m_c"),
        ("CON", "_CON"),
        ("  ..  ", "_"),
        ("é" * 500, "é" * 60),
        ("\ud800x", "x"),
        ("猫" * 60, "猫" * 60),
    ],
)
def test_texts_are_safe_as_names(prompt: str, expected: str) -> None:
    assert str(fill_pattern("{prompt}.png", {**VALUES, "prompt": prompt})) == f"{expected}.png"


def test_long_names_are_cut_by_bytes() -> None:
    name = fill_pattern("{prompt:400}.webp", {**VALUES, "prompt": "猫" * 400}).name
    assert len(name.encode()) <= 240
    assert name.endswith("猫.webp")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{sede}.png", "there is no field '{sede}'; fields are prompt, negative, seed"),
        ("{seed.real}.png", "there is no field '{seed.real}'"),
        ("{seed!r}.png", "there is no field '{seed}'"),
        ("{}.png", "there is no field '{}'"),
        ("{seed.png", "its brackets are wrong"),
        ("{seed:q}.png", "its brackets are wrong"),
        ("{seed}.gif", "its name ends in .gif"),
    ],
)
def test_wrong_patterns_are_refused_before_any_work(
    fake_pipeline: type[FakePipeline], capfd: pytest.CaptureFixture[str], pattern: str, message: str
) -> None:
    assert exit_status("txt2img", "a", "-o", pattern) == 2
    assert message in capfd.readouterr().err
    assert fake_pipeline.loads == []


@pytest.mark.usefixtures("fake_pipeline")
def test_no_file_of_a_pattern_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        done = run("txt2img", "a b", "--seed", "4", "--count", "2", "-o", "{prompt}/{seed}")
        assert done.exit_code == 0, done.stderr
    assert done.stdout.split() == ["a_b/4-2.png", "a_b/5-2.png"]
    assert file_names(tmp_path / "a_b") == ["4-2.png", "4.png", "5-2.png", "5.png"]
    assert run("txt2img", "x", "--seed", "4", "-o", "{prompt}/").stdout == "x/00001-4.png\n"
    for number in (1, 2):
        done = run("txt2img", "x", "-o", "n/{number}-a.png")
        assert done.stdout == f"n/{number:05d}-a.png\n"


def test_the_help_names_all_fields() -> None:
    text = " ".join(run("txt2img", "--help").stdout.split())
    assert ", ".join(FIELDS) in text


@pytest.mark.usefixtures("pictures")
def test_force_replaces_a_picture_that_is_read(tmp_path: Path) -> None:
    before = (tmp_path / "in.png").read_bytes()
    (tmp_path / "link.png").symlink_to("in.png")
    for name in ("in.png", "link.png"):
        assert run("img2img", "in.png", "a", "-o", name).exit_code == 2
    assert (tmp_path / "in.png").read_bytes() == before
    assert run("img2img", "in.png", "a", "-o", "in.png", "--force").exit_code == 0
    assert (tmp_path / "in.png").read_bytes() != before


@pytest.mark.usefixtures("fake_pipeline")
def test_quiet_prints_names_alone() -> None:
    done = run("txt2img", "a", "--seed", "1", "--quiet")
    assert (done.stdout, done.stderr) == ("00001-1.png\n", "")
