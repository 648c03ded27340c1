"""``--embedding``, ``--embeddings``, and learned words in pictures that are drawn again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from diffusion.cli.from_picture import find_earlier_inversions
from diffusion.settings import Settings
from diffusion.text.inversions import InversionFolder, TextualInversion, hash_of_inversion
from tests.diffusion.cli.fake_pipeline import FakePipeline, infotext_of, run

TEXT = "a red word\nSteps: 3, Sampler: Euler, Seed: 1, Size: 64x64, TI hashes: {}"


def write_word(path: Path, value: float = 1) -> str:
    """Write a file. Return its hash."""
    path.parent.mkdir(exist_ok=True)
    save_file({"emb_params": np.full((1, 4), value, np.float32)}, path)
    return hash_of_inversion(path)


@pytest.mark.usefixtures("fake_pipeline")
def test_options_become_settings() -> None:
    write_word(Path("words/a.safetensors"))
    files = ("--embedding", "words/a.safetensors", "--embeddings", "words")
    done = run("txt2img", "x", *files, "--output", "p.png")
    assert done.exit_code == 0, done.stderr
    assert FakePipeline.runs[0].inversions == (TextualInversion(Path("words/a.safetensors")),)
    assert infotext_of("p.png")["TI hashes"] == "a: ba9876543210"
    assert run("txt2img", "x", *files, "--json").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--embedding", "absent.safetensors"), "there is no such file"),
        (("--embeddings", "absent"), "must be a folder of .safetensors files"),
    ],
)
@pytest.mark.usefixtures("fake_pipeline")
def test_absent_files_are_refused_before_a_model_is_loaded(
    arguments: tuple[str, ...], reason: str
) -> None:
    done = run("txt2img", "x", *arguments)
    assert done.exit_code != 0
    assert reason in done.stderr
    assert FakePipeline.loads == []


@pytest.mark.parametrize(
    ("name", "digest", "expected", "message"),
    [
        ("word", "{a}", None, ""),
        ("WORD", "{a}", None, ""),
        ("old name", "{a}", "word.safetensors", "here it is 'word.safetensors'"),
        ("other", "{a}", "word.safetensors", "here it is 'word.safetensors'"),
        ("word", "ffffffffffff", None, "drawn with another file of that name"),
        ("absent", "ffffffffffff", None, "not in --embeddings; its name is drawn as text"),
        ("../word", "ffffffffffff", None, "not in --embeddings"),
    ],
)
def test_earlier_words_are_found_by_name_and_hash(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    digest: str,
    expected: str | None,
    message: str,
) -> None:
    first = write_word(tmp_path / "word.safetensors", 1)
    write_word(tmp_path / "other.safetensors", 2)
    text = TEXT.format(f'"{name}: {digest.format(a=first)}"')
    settings = Settings("a red word")
    found = find_earlier_inversions(settings, text, InversionFolder(tmp_path))
    assert found.prompt == settings.prompt
    files = [(each.name, Path(each.file).name) for each in found.inversions]
    assert files == ([] if expected is None else [(name, expected)])
    shown = capsys.readouterr().err
    assert message in shown if message else not shown


def test_a_file_that_was_typed_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = write_word(tmp_path / "word.safetensors")
    settings = Settings("x", inversions=(TextualInversion(tmp_path / "word.safetensors"),))
    text = TEXT.format(f'"word: {digest}"')
    assert find_earlier_inversions(settings, text, InversionFolder(None)) == settings
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("fake_pipeline")
def test_a_drawn_picture_is_drawn_again_with_its_words() -> None:
    write_word(Path("words/a.safetensors"))
    assert run("txt2img", "x", "--embedding", "words/a.safetensors", "-o", "p.png").exit_code == 0
    done = run("txt2img", "--from", "p.png", "--embeddings", "words", "-o", "q.png")
    assert done.exit_code == 0, done.stderr
    assert "drawn with another file of that name" in done.stderr  # the stand-in's hash


def test_words_with_commas_are_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture's text leaves commas and colons out, as the WebUI does."""
    digest = write_word(tmp_path / "a, b:c.safetensors")
    text = TEXT.format(f'"a bc: {digest}"')
    settings = Settings("a, b:c")
    assert find_earlier_inversions(settings, text, InversionFolder(tmp_path)) == settings
    assert capsys.readouterr().err == ""
