"""``--dynamic``, ``--wildcards`` and ``--combinatorial``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diffusion.infotext.files import read_infotext
from diffusion.infotext.grammar import parse_infotext
from diffusion.templates import draw_prompt
from tests.diffusion.cli.fake_pipeline import FakePipeline, infotext_of, run

pytestmark = pytest.mark.usefixtures("pictures")


def test_each_picture_draws_its_own_prompt() -> None:
    template = "a {red|blue|green} {cat|dog}"
    done = run("txt2img", template, "--dynamic", "--seed", "7", "--count", "4", "--json")
    prompts = [draw_prompt(template, seed) for seed in range(7, 11)]
    assert [each.prompt for each in FakePipeline.runs] == prompts
    assert [each.seed for each in FakePipeline.runs] == [7, 8, 9, 10]
    record = json.loads(done.stdout)
    assert record["prompts"] == prompts
    for file, prompt in zip(record["files"], prompts, strict=True):
        text = parse_infotext(read_infotext(file) or "")
        assert (text.prompt, text.settings["Template"]) == (prompt, template)
        assert "Negative Template" not in text.settings


def test_a_picture_is_drawn_again_from_its_prompt_or_its_template() -> None:
    template = "a {red|blue|green|black} cat"
    run("txt2img", template, "--dynamic", "--negative", "{x|y}", "--seed", "7", "-o", "one.png")
    run("txt2img", "--from", "one.png", "-o", "two.png")
    assert FakePipeline.runs[1].prompt == FakePipeline.runs[0].prompt
    run("txt2img", "--from", "one.png", "--dynamic", "--seed", "8", "-o", "three.png")
    assert FakePipeline.runs[2].prompt == draw_prompt(template, 8)
    assert FakePipeline.runs[2].negative == draw_prompt("{x|y}", 8)
    settings = infotext_of("three.png")
    assert (settings["Template"], settings["Negative Template"]) == (template, "{x|y}")


def test_wildcards_and_combinations(tmp_path: Path) -> None:
    (tmp_path / "colour.txt").write_text("red\nblue\n", encoding="utf-8")
    options = ("--wildcards", str(tmp_path), "--combinatorial", "--seed", "1", "--count", "2")
    done = run("txt2img", "__colour__ {cat|dog}", *options)
    assert done.exit_code == 0, done.stderr
    every = ["red cat", "red dog", "blue cat", "blue dog"]
    assert [each.prompt for each in FakePipeline.runs] == every * 2
    assert [each.seed for each in FakePipeline.runs] == list(range(1, 9))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["__colour__", "--dynamic"], "--wildcards FOLDER"),
        (["a", "--wildcards", "nowhere"], "must be a folder"),
        (["{a|b}", "--combinatorial", "--count", "600"], "make 1200; at most 1000"),
    ],
)
def test_mistakes(options: list[str], error: str) -> None:
    done = run("txt2img", *options)
    assert done.exit_code == 2
    assert error in " ".join(done.stderr.split())
    assert not FakePipeline.loads


def test_without_the_option_braces_are_text() -> None:
    run("txt2img", "a {red|blue} cat", "-o", "plain.png")
    assert FakePipeline.runs[0].prompt == "a {red|blue} cat"
