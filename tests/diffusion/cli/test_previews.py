"""``--preview``: which pictures it shows and when, and which files it refuses to replace."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffusion import Pipeline, Settings, Step
from diffusion.cli.previews import EVERY, EVERY_QUICK, MARK, MAX_SIDE, Preview
from diffusion.errors import NotFiniteError, OutputError
from diffusion.images import arrange_grid
from diffusion.infotext.files import read_infotext
from tests.diffusion.cli.fake_pipeline import (
    BLUE,
    RED,
    FakePipeline,
    FakeStep,
    exit_status,
    file_names,
    run,
)
from tests.diffusion.golden_families import vae_folder
from tests.goldens.family_folders import write_family

Shown = list[list[Image.Image]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Return the pictures of each preview. They are also written."""
    found: Shown = []
    show = Preview.show

    def record(preview: Preview, images: Sequence[Image.Image]) -> None:
        found.append(list(images))
        show(preview, images)

    monkeypatch.setattr(Preview, "show", record)
    return found


def test_a_preview_follows_the_steps_and_ends_with_the_pictures(
    fake_pipeline: type[FakePipeline],
    shown: Shown,
) -> None:
    options = "--count 3 --batch 2 --steps 7 --preview-every 3 --preview new/watch.png --json"
    done = run("txt2img", "a", *options.split())
    assert done.exit_code == 0, done.stderr
    colours = [[image.getpixel((0, 0)) for image in images] for images in shown]
    assert colours == [[BLUE] * 2, [BLUE] * 2, [RED] * 2, [BLUE], [BLUE], [RED]]
    with Image.open("new/watch.png") as image:
        assert (image.size, image.getpixel((0, 0)), image.text) == (
            (16, 24),
            RED,
            {"parameters": MARK},
        )
    assert file_names(Path("new")) == ["watch.png"]
    assert json.loads(done.stdout)["timings"]["previewing"] > 0
    assert [each["preview"] for each in fake_pipeline.loads] == [None]


@pytest.mark.parametrize(
    ("arguments", "steps", "expected"),
    [
        ([], EVERY, 0),
        ([], EVERY + 1, 1),
        (["--preview-vae", "tiny"], EVERY_QUICK + 1, 1),
        (["--preview-vae", "tiny", "--preview-every", "2"], 4, 1),
        (["--preview-every", "1"], 1, 0),
    ],
    ids=str,
)
def test_how_often_a_preview_is_written(
    fake_pipeline: type[FakePipeline],
    shown: Shown,
    arguments: list[str],
    steps: int,
    expected: int,
) -> None:
    done = run("txt2img", "a", "--steps", str(steps), "--preview", "p.webp", *arguments)
    assert done.exit_code == 0, done.stderr
    assert len(shown) == expected + 1
    expected_vae = Path("tiny") if arguments[:1] == ["--preview-vae"] else None
    assert [each["preview"] for each in fake_pipeline.loads] == [expected_vae]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".WEBP"])
@pytest.mark.usefixtures("fake_pipeline")
def test_an_earlier_preview_is_replaced(suffix: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("txt2img", "a", "--preview", f"p{suffix}", "-o", "new/").exit_code == 0
    assert read_infotext(tmp_path / f"p{suffix}") == MARK
    assert file_names(tmp_path) == ["new", f"p{suffix}"]
    done = run("txt2img", "--from", f"p{suffix}")
    assert (done.exit_code, "whose text has settings" in done.stderr) == (2, True)


def test_many_pictures_lie_in_a_grid_of_bounded_size(tmp_path: Path) -> None:
    images = [Image.new("RGB", (4, 2), (n, 0, 0)) for n in range(1, 8)]
    found = np.asarray(arrange_grid(images))[1::2, 3::4, 0]
    np.testing.assert_array_equal(found, [[1, 2, 3], [4, 5, 6], [7, 0, 0]])
    np.testing.assert_array_equal(np.asarray(arrange_grid(images[:1])), np.asarray(images[0]))
    assert arrange_grid(images[:2]).size == (8, 2)
    file = tmp_path / "p.jpg"
    Preview(file).show([Image.new("RGB", (MAX_SIDE, 512))] * 2)
    with Image.open(file) as image:
        assert image.size == (MAX_SIDE, 256)


REFUSED = [
    (["--preview-every", "2"], "--preview-every needs --preview FILE; got 2"),
    (["--preview-vae", "tiny"], "--preview-vae needs --preview FILE; got 'tiny'"),
    (["--preview", "p.png", "--preview-every", "0"], "--preview-every must be a whole number"),
    (["--preview", "p.gif"], "p.gif: cannot be written: its name is not that of a picture"),
    (["--preview", "p"], "p: cannot be written: its name is not that of a picture"),
    (["--preview", "folder.png"], "its name is not that of a picture"),
    (["--preview", "photo.png"], "photo.png: cannot be written: it exists and is not a preview"),
    (["--preview", "notes.png"], "notes.png: cannot be written: it exists and is not a preview"),
    (["--preview", "photo.png/p.png"], "File exists"),
    (["--preview", "a.png", "-o", "a.png"], "a finished picture may get this name"),
    (["--preview", "A.png", "-o", "a.png"], "a finished picture may get this name"),
    (["--preview", "link/a.png", "-o", "a.png"], "a finished picture may get this name"),
    (["--preview", "a-2.png", "-o", "a.png", "--count", "2"], "a finished picture may get"),
    (["--preview", "00001-x.png"], "a finished picture may get this name"),
    (["--preview", "loop.png"], "loop.png: cannot be written: "),
    (["--preview", "pipe.png"], "pipe.png: cannot be written: it exists and is not a preview"),
    (
        ["--preview", "photo-link.png"],
        "photo.png: cannot be written: it exists and is not a preview",
    ),
    (["--preview", "a" * 300 + ".png"], "aaa.png: cannot be written: File name too long"),
    (["--preview", "~nobody-here/p.png"], "p.png: cannot be written: Could not determine home"),
    (["-o", "a" * 300 + ".png"], "aaa.png: cannot be written: File name too long"),
    (["-o", "a" * 300], "aaa: cannot be written: File name too long"),
    (["-o", "~nobody-here/p.png"], "p.png: cannot be written: Could not determine home"),
    (["--preview", "old.png", "--profile", "old.png"], "has this file for something else"),
    (["--preview", "old.png", "--from", "link/old.png"], "has this file for something else"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=lambda x: " ".join(x)[:40])
def test_refused_before_any_work(
    fake_pipeline: type[FakePipeline],
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings = PngInfo()
    settings.add_text("parameters", "a\nSteps: 1, Seed: 2, Size: 16x16")
    Image.new("RGB", (8, 8)).save("photo.png", pnginfo=settings)
    Path("notes.png").write_text("not a picture")
    Path("folder.png").mkdir()
    Path("link").symlink_to(tmp_path)
    Path("loop.png").symlink_to("loop.png")
    Path("photo-link.png").symlink_to("photo.png")
    os.mkfifo("pipe.png")
    Preview(Path("old.png")).show([Image.new("RGB", (8, 8))])
    if "--from" in arguments:
        Image.new("RGB", (8, 8)).save("old.png", pnginfo=settings)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert exit_status("txt2img", *([] if "--from" in arguments else ["a"]), *arguments) == 2
    stderr = capfd.readouterr().err
    assert message in stderr
    assert stderr.count("\n") == 1
    assert fake_pipeline.loads == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_file_that_came_in_between_is_not_replaced(tmp_path: Path) -> None:
    preview, images = Preview(tmp_path / "p.png"), [Image.new("RGB", (8, 8))]
    preview.show(images)
    preview.show(images)
    images[0].save(preview.file)
    mine = preview.file.read_bytes()
    with pytest.raises(OutputError, match="it is no longer a preview; give another --preview"):
        preview.show(images)
    assert (preview.file.read_bytes(), file_names(tmp_path)) == (mine, ["p.png"])


@pytest.mark.usefixtures("fake_pipeline")
def test_links_are_followed(tmp_path: Path) -> None:
    Path("shared").mkdir()
    Path("p.png").symlink_to("shared/watch.png")
    for _ in range(2):
        done = run("txt2img", "a", "--preview", "p.png", "-o", "new/")
        assert done.exit_code == 0, done.stderr
    assert Path("p.png").is_symlink()
    assert not Path("shared/watch.png").is_symlink()
    assert read_infotext("shared/watch.png") == MARK
    assert file_names(tmp_path / "shared") == ["watch.png"]


@pytest.mark.usefixtures("fake_pipeline")
def test_input_files_are_not_replaced(tmp_path: Path) -> None:
    for name in ("in.png", "mask.png"):
        Preview(tmp_path / name).show([Image.new("RGB", (16, 24), "white")])
    for command in (["img2img"], ["inpaint", "--mask", "mask.png"], ["upscale"]):
        prompt = [] if command == ["upscale"] else ["a"]
        for file in {"in.png", *command[2:]}:
            done = run(command[0], "in.png", *prompt, *command[1:], "--preview", file)
            assert (done.exit_code, "for something else" in done.stderr) == (2, True), done.stderr
        done = run(command[0], "in.png", *prompt, *command[1:], "--preview", "p.png")
        assert done.exit_code == 0, done.stderr
    assert read_infotext("p.png") == MARK


def test_a_folder_that_cannot_be_written(
    fake_pipeline: type[FakePipeline],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, how: Path(path).name != "shut" and access(path, how)
    )
    done = run("txt2img", "a", "--preview", "shut/p.png")
    assert "shut: cannot be written: no permission; give another --preview" in done.stderr
    assert (done.exit_code, fake_pipeline.loads) == (2, [])


@pytest.mark.usefixtures("fake_pipeline")
@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("write", OutputError("p.png", "No space left on device", "give another --preview")),
        ("decode", NotFiniteError("VAE", "after decoder.conv_out", "give another VAE")),
    ],
)
def test_pictures_are_drawn_where_previews_fail(
    monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise error

    owner, name = {"write": (Preview, "show"), "decode": (FakeStep, "preview")}[place]
    monkeypatch.setattr(owner, name, fail)
    options = ["--preview", "p.png", "--preview-every", "1", "--seed", "1", "-o", "new/"]
    done = run("txt2img", "a", *options)
    assert done.exit_code == 0
    assert done.stdout == "new/00001-1.png\n"
    assert done.stderr.count(f"avila: warning: no more previews: {error}\n") == 1
    assert file_names(tmp_path) == ["new"]


def test_the_same_bits_with_and_without(tmp_path: Path) -> None:
    """The bundled model; the preview ends as the pictures side by side."""
    drawing = "--steps 3 --size 64x64 --count 2 --seed 5 --set s_noise=0.9 --sampler euler_a -o"
    watch = tmp_path / "watch.png"
    for name, more in (("one", []), ("two", ["--preview", str(watch), "--preview-every", "1"])):
        done = run("txt2img", "a red apple", *drawing.split(), str(tmp_path / f"{name}.png"), *more)
        assert done.exit_code == 0, done.stderr
    files = [[tmp_path / f"{name}-{number}.png" for number in (1, 2)] for name in ("one", "two")]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]
    images = [Image.open(file) for file in files[0]]
    np.testing.assert_array_equal(np.asarray(Image.open(watch)), np.hstack(images))


def test_a_tiny_decoder_is_for_previews_alone(tmp_path: Path, shown: Shown) -> None:
    model, tiny = write_family(tmp_path / "model", "sd2"), vae_folder(tmp_path / "tiny")
    drawing = ["--model", str(model), *"--size 24x16 --steps 3 --sampler euler --seed 3 -o".split()]
    quick_options = ["--preview-vae", str(tiny)]
    for name, more in (("own", []), ("tiny", quick_options)):
        watching = ["--preview", str(tmp_path / "p.png"), "--preview-every", "1", *more]
        done = run("txt2img", "a cat", *drawing, str(tmp_path / f"{name}.png"), *watching)
        assert done.exit_code == 0, done.stderr
    own, quick = shown[:3], shown[3:]
    assert (tmp_path / "own.png").read_bytes() == (tmp_path / "tiny.png").read_bytes()
    np.testing.assert_array_equal(own[2][0], quick[2][0])
    pipeline = Pipeline.load(model, preview=tiny)
    settings = Settings("a cat", width=24, height=16, steps=3, sampler="euler", seed=3)
    expected = [each.preview() for each in pipeline.generate(settings) if isinstance(each, Step)]
    for found, right, other in zip(quick[:2], expected, own, strict=False):
        np.testing.assert_array_equal(np.asarray(found[0]), np.asarray(right[0]))
        assert not np.array_equal(np.asarray(found[0]), np.asarray(other[0]))
    wrong = run("txt2img", "a", *drawing, "x.png", "--preview", "p.png", "--preview-vae", "none")
    assert (wrong.exit_code, "there is no such VAE" in wrong.stderr) == (2, True)
