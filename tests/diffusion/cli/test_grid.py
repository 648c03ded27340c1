"""``--grid``: axes, the pictures of all cells, and the labelled picture with its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from diffusion.grids import draw_grid, expand_range
from diffusion.infotext.files import read_infotext
from diffusion.infotext.grammar import parse_infotext
from tests.diffusion.cli.fake_pipeline import (
    BLUE,
    RED,
    FakePipeline,
    exit_status,
    file_names,
    infotext_of,
    run,
)


def colours_of(image: Image.Image) -> dict[object, int]:
    """Return how many pixels have each colour."""
    return {colour: count for count, colour in image.getcolors(1 << 16) or []}


def test_each_combination_is_drawn_with_one_seed(
    fake_pipeline: type[FakePipeline], tmp_path: Path
) -> None:
    done = run(
        "txt2img", "a", "--grid", "steps=2-4", "--grid", "sampler=euler, heun", "-o", "g.png"
    )
    assert done.exit_code == 0, done.stderr
    found = [(each.steps, each.sampler) for each in fake_pipeline.runs]
    assert found == [(s, n) for s in (2, 3, 4) for n in ("euler", "heun")]
    assert len({each.seed for each in fake_pipeline.runs}) == 1
    assert done.stdout == "g.png\n"
    assert file_names(tmp_path) == ["g.png"]
    assert "6 pictures" in done.stderr
    with Image.open("g.png") as image:
        assert image.width > 3 * 16
        assert image.height > 2 * 24
        colours = colours_of(image)
    assert colours[RED] == 6 * 16 * 24


def test_the_text_is_that_of_the_webui(fake_pipeline: type[FakePipeline]) -> None:
    axes = ["--grid", "seed=5,-1", "--grid", "replace=cat,dog,a fox", "--grid", "guidance=1-2[2]"]
    done = run("txt2img", "a cat", "--negative", "no cat", *axes, "-o", "g.png")
    assert done.exit_code == 0, done.stderr
    assert {each.prompt for each in fake_pipeline.runs} == {"a cat", "a dog", "a a fox"}
    assert {each.negative for each in fake_pipeline.runs} == {"no cat", "no dog", "no a fox"}
    text = parse_infotext(read_infotext("g.png") or "")
    assert text.prompt == "a cat"
    expected = {
        "Seed": "5",
        "Script": "X/Y/Z plot",
        "X Type": "Seed",
        "X Values": "5,-1",
        "Fixed X Values": "5, -1",
        "Y Type": "Prompt S/R",
        "Y Values": "cat,dog,a fox",
        "Z Type": "CFG Scale",
        "Z Values": "1-2[2]",
    }
    assert expected.items() <= dict(text.settings).items()


@pytest.mark.usefixtures("fake_pipeline")
def test_single_pictures_are_kept_by_option(tmp_path: Path) -> None:
    line = ["txt2img", "a", "--seed", "3", "--grid", "steps=2,4", "--grid-pictures", "-o", "out/"]
    done = run(*line)
    assert done.exit_code == 0, done.stderr
    assert file_names(tmp_path / "out") == ["00001-3.png", "00002-3.png", "00003-3.png"]
    steps = [infotext_of(tmp_path / "out" / f"0000{i}-3.png")["Steps"] for i in (1, 2, 3)]
    assert steps == ["2", "4", "2"]
    record = run(*line, "--json").stdout.splitlines()
    assert [len(json.loads(line)["files"]) for line in record[:2]] == [1, 1]
    assert json.loads(record[2]) == {"grid": "out/00006-3.png"}


def test_networks_are_loaded_once_each(fake_pipeline: type[FakePipeline]) -> None:
    done = run("txt2img", "a", "--grid", "steps=2,3", "--grid", "vae=x,y", "-o", "g.png")
    assert done.exit_code == 0, done.stderr
    assert [each["vae"] for each in fake_pipeline.loads] == [Path("x"), Path("y")]


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    ("line", "axis", "setting"),
    [
        ("img2img in.png a", "strength=0.2,0.4", "strength"),
        ("img2img in.png a", "resize=crop,fill", "resize"),
        ("upscale in.png", "scale=1,2", None),
        ("inpaint in.png a --mask mask.png", "mask-blur=0,3", None),
    ],
)
def test_other_commands_have_grids(line: str, axis: str, setting: str | None) -> None:
    done = run(*line.split(), "--grid", axis, "-o", "g.png")
    assert done.exit_code == 0, done.stderr
    values = axis.partition("=")[2].split(",")
    starts = [each.init_image for each in FakePipeline.runs]
    assert len(starts) == len(values)
    if setting:
        assert [str(getattr(start, setting)) for start in starts] == values


@pytest.mark.parametrize("axis", ["size=16x8,32x16", "prompt=a,b", "negative=a,b", "eta=0,1"])
def test_axes_of_all_kinds(fake_pipeline: type[FakePipeline], axis: str) -> None:
    assert run("txt2img", "a", "--grid", axis, "-o", "g.png").exit_code == 0
    assert len(fake_pipeline.runs) == len(set(map(repr, fake_pipeline.runs))) == 2


def test_a_grid_of_variations_has_one_other_seed(fake_pipeline: type[FakePipeline]) -> None:
    done = run("txt2img", "a", "--grid", "variation=0.1,0.2,0.3", "-o", "g.png")
    assert done.exit_code == 0, done.stderr
    variations = [each.variation for each in fake_pipeline.runs]
    assert len({each.seed for each in variations if each}) == 1
    assert [each.strength for each in variations if each] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("text", "is_float", "expected"),
    [
        ("1-5", False, "1 2 3 4 5"),
        ("1-10 (+3)", False, "1 4 7 10"),
        ("10-5 (-3)", False, "10 7"),
        ("5-3", False, "5 4 3"),
        ("1-10[4]", False, "1 4 7 10"),
        ("0.2-1[5]", True, "0.2 0.4 0.6 0.8 1"),
        ("0.1-0.4(0.1)", True, "0.1 0.2 0.3 0.4"),
        ("-2-1", False, "-2 -1 0 1"),
        ("7", False, "7"),
    ],
)
def test_ranges_are_read_as_in_the_webui(text: str, is_float: bool, expected: str) -> None:
    assert list(expand_range(text, is_float)) == expected.split()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--grid steps", "--grid must be AXIS=VALUES, such as steps=8,12,20; got 'steps'"),
        ("--grid steps=", "--grid must be AXIS=VALUES"),
        ("--grid stpes=1,2", "No such option: --stpes"),
        ("--grid steps=1,x", "--steps must be a whole number; got 'x'"),
        ("--grid steps=1,0", "--steps must be a whole number from 1 to 1000; got 0"),
        ("--grid steps=1-9(-1)", "its step leads away from its end"),
        ("--grid seed=1-2000", "it has over 1000 values"),
        ("--grid seed=1-100 --grid steps=1-100", "the grid has over 1000 pictures"),
        ("--grid sampler=euler,eular", "--sampler cannot be 'eular'; did you mean euler"),
        ("--grid output=a,b", "give it on the command line, for all pictures"),
        ("--grid replace=cat", "replace needs two texts or more"),
        ("--grid replace=cat,dog", "the text to replace must stand in the prompt"),
        ("--grid steps=1 --grid eta=1 --grid seed=1 --grid rng=nv", "at most three axes"),
        ("--grid steps=1 --prompts p.txt", "--grid must not be given with --prompts"),
    ],
)
def test_wrong_grids_are_refused_before_any_work(
    fake_pipeline: type[FakePipeline],
    capfd: pytest.CaptureFixture[str],
    options: str,
    message: str,
) -> None:
    assert exit_status("txt2img", "a", *options.split()) == 2
    errors = capfd.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert fake_pipeline.loads == []


def test_ctrl_c_keeps_what_is_drawn(
    fake_pipeline: type[FakePipeline], capfd: pytest.CaptureFixture[str]
) -> None:
    fake_pipeline.stop_at_run = 3
    assert exit_status("txt2img", "a", "--grid", "steps=2,3,4,5", "-o", "g.png") == 130
    stdout, stderr = capfd.readouterr()
    assert (stdout, stderr) == ("g.png\n", "avila: stopped; 2 of 4 pictures were finished\n")
    with Image.open("g.png") as image:
        colours = colours_of(image)
    assert colours[RED] == 2 * 16 * 24


def test_cells_and_labels_do_not_overlap() -> None:
    """Cells of two sizes, three axes, and a label that is longer than a cell."""
    images = {
        (i, j, k): Image.new("RGB", (64 - 8 * i, 48), BLUE)
        for i in range(2)
        for j in range(3)
        for k in range(2)
    }
    labels = [["a", "a long label of many words"], ["1", "2", "unbreakable" * 4], ["x", "y"]]
    grid = draw_grid(images, labels, ["Prompt", "Steps", "Seed"])
    colours = colours_of(grid)
    assert colours[BLUE] == 6 * 48 * (64 + 56)
    assert colours[0, 0, 0] > 100
