"""``--lora``, ``--loras``, and LoRAs in pictures that are drawn again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from diffusion.adapters import Lora, LoraFolder, hash_of_file
from diffusion.cli.from_picture import find_earlier_loras
from diffusion.cli.options.loras import parse_lora
from diffusion.errors import SettingsError
from diffusion.settings import Settings
from tests.diffusion.cli.fake_pipeline import FakePipeline, infotext_of, run

TEXT = "a cat{}\nSteps: 3, Sampler: Euler, Seed: 1, Size: 64x64{}"


def write_lora(path: Path, value: float = 1) -> str:
    """Write a file. Return its hash."""
    path.parent.mkdir(exist_ok=True)
    save_file({"x": np.full(4, value, np.float32)}, path)
    return hash_of_file(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", Lora("a")),
        ("a:0.5", Lora("a", 0.5)),
        ("a:0.5:2", Lora("a", 0.5, 2.0)),
        ("sub/a.safetensors:-1", Lora("sub/a.safetensors", -1.0)),
        (r"C:\a.safetensors:1", Lora(r"C:\a.safetensors", 1.0)),
    ],
)
def test_loras_are_typed(text: str, expected: Lora) -> None:
    assert parse_lora(text) == expected


@pytest.mark.parametrize("text", ["", ":1", "a:b", "a:1e9", "a:nan"])
def test_loras_without_sense_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="lora"):
        parse_lora(text)


@pytest.mark.usefixtures("fake_pipeline")
def test_options_become_settings() -> None:
    write_lora(Path("loras/a.safetensors"))
    done = run(
        "txt2img",
        "x",
        "--lora",
        "a:0.5",
        "--lora",
        "b.safetensors",
        "--loras",
        "loras",
        "--output",
        "p.png",
    )
    assert done.exit_code == 0, done.stderr
    assert FakePipeline.runs[0].loras == (Lora("a", 0.5), Lora("b.safetensors"))
    assert infotext_of("p.png")["Lora hashes"] == "a: 0123456789ab, b: 0123456789ab"
    assert run("txt2img", "x", "--lora", "a", "--loras", "loras", "--json").exit_code == 0


@pytest.mark.parametrize("arguments", [("x", "--lora", "c"), ("x <lora:c:1>",)])
@pytest.mark.usefixtures("fake_pipeline")
def test_unknown_names_are_refused_before_a_model_is_loaded(arguments: tuple[str, ...]) -> None:
    write_lora(Path("loras/a.safetensors"))
    done = run("txt2img", *arguments, "--loras", "loras")
    assert done.exit_code != 0
    assert "'c'; the folder 'loras' has no such .safetensors file" in done.stderr
    assert FakePipeline.loads == []


@pytest.mark.parametrize(
    ("tag", "hashes", "expected", "told"),
    [
        ("a", "{a}", "a cat <lora:a:1>", ""),
        ("a", "", "a cat <lora:a:1>", ""),
        ("old, odd (v1)", "{a}", "a cat <lora:a:1>", "here it is 'a'"),
        ("old", "{a}", "a cat <lora:a:1>", "here it is 'a'"),
        ("b", "{a}", "a cat <lora:a:1>", "here it is 'a'"),
        ("b", "ffffffffffff", "a cat <lora:b:1>", "another file of that name"),
        ("old", "ffffffffffff", "a cat ", "which is not in --loras; drawn without it"),
        ("old", "", "a cat ", "which is not in --loras; drawn without it"),
        ("../a", "", "a cat ", "which is not in --loras; drawn without it"),
    ],
)
def test_earlier_loras_are_found_by_name_and_hash(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tag: str,
    hashes: str,
    expected: str,
    told: str,
) -> None:
    digest = write_lora(tmp_path / "a.safetensors", 1)
    write_lora(tmp_path / "b.safetensors", 2)
    named = f', Lora hashes: "{tag}: {hashes.format(a=digest)}"' if hashes else ""
    settings = Settings(f"a cat <lora:{tag}:1>")
    found = find_earlier_loras(settings, TEXT.format("", named), LoraFolder(tmp_path))
    assert found.prompt == expected
    message = capsys.readouterr().err
    assert told in message if told else not message
