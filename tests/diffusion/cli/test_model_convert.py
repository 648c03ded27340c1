"""``avila model convert``, and the commands that read what it writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints import ModelFolder, open_safetensors, save_safetensors
from diffusion.checkpoints.gguf import open_gguf
from tests.diffusion.checkpoints.gguf.hostile_files import gguf_file, info
from tests.diffusion.cli.fake_pipeline import file_names, run

BUNDLED = Path(__file__).parents[3] / "models" / "emoji"
TOKENIZER = str(BUNDLED / "tokenizer")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundled model with weights of eight bits."""
    path = tmp_path_factory.mktemp("models") / "small.gguf"
    done = run("model", "convert", "emoji", path, "--weights", "q8_0")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(path)
    assert re.fullmatch(r"1\d\.\d MB\n", done.stderr)
    return path


def test_models_are_half_as_large(small: Path) -> None:
    """But for what is kept: the VAE and embeddings."""
    entries = ModelFolder(BUNDLED).weights("unet").entries.values()
    found = open_gguf(small).entries.items()
    quantized = sum(e.nbytes for name, e in found if name.startswith("model.diffusion_model."))
    assert quantized < 0.56 * sum(entry.nbytes for entry in entries)


def test_types_and_bytes_are_shown(small: Path) -> None:
    done = run("model", "show", small, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["layout"] == "single file"
    assert re.fullmatch(r"326 tensors, Q8_0 9\.\d MB \+ F16 0\.\d MB, 9\.\d MB", facts["unet"])
    assert facts["vae"].startswith("184 tensors, F16, ")


def test_a_quantised_model_is_verified(small: Path, tmp_path: Path) -> None:
    done = run("model", "verify", small)
    assert done.exit_code == 0, done.output
    assert "unet: 326 tensors fit, all numbers finite" in done.stdout
    broken = bytearray(small.read_bytes())
    file = open_gguf(small)
    name = next(name for name in file.names if file.entry(name).dtype == "Q8_0")
    offset = file.entry(name).offset
    broken[offset : offset + 2] = b"\x00\x7e"
    (tmp_path / "broken.gguf").write_bytes(broken)
    done = run("model", "verify", tmp_path / "broken.gguf")
    assert done.exit_code == 2
    assert re.search(r"must be finite, got infinities or NaN in '\S+' \(32 of \d+\)", done.stderr)


def test_a_quantised_model_becomes_a_folder(small: Path, tmp_path: Path) -> None:
    done = run("convert", small, "-o", tmp_path / "folder", "--tokenizer", TOKENIZER)
    assert done.exit_code == 0, done.output
    weights = ModelFolder(tmp_path / "folder").weights("unet")
    assert {entry.dtype for entry in weights.entries.values()} == {"F16"}
    exact = ModelFolder(BUNDLED).weights("unet")
    for name in exact.entries:
        error = np.abs(weights.read(name).astype(np.float32) - exact.read(name))
        assert error.max() <= np.abs(exact.read(name)).max() / 127


def test_8_bit_floats_and_kept_tensors(tmp_path: Path) -> None:
    done = run(
        "model", "convert", BUNDLED, tmp_path / "a.safetensors", "--weights", "fp8",
        "--keep", "*.attn1.*", "--rule", "*.ff.*=f16",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    kinds = {n: e.dtype for n, e in open_safetensors(tmp_path / "a.safetensors").entries.items()}
    assert {dtype for name, dtype in kinds.items() if ".attn1." in name} == {"F16"}
    assert {dtype for name, dtype in kinds.items() if ".ff." in name} == {"F16"}
    assert {dtype for n, dtype in kinds.items() if n.endswith("in_layers.2.weight")} == {"F8_E4M3"}
    done = run("model", "show", tmp_path / "a.safetensors", "--json")
    assert "F8_E4M3" in json.loads(done.stdout)["unet"]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("q8_0", "must be PATTERN=TYPE"),
        ("*=q9", "must be one of"),
        ("=q8_0", "must be PATTERN=TYPE"),
    ],
)
def test_rules_that_are_none(rule: str, told: str, tmp_path: Path) -> None:
    done = run(
        "model", "convert", BUNDLED, tmp_path / "a.gguf", "--weights", "q4_k", "--rule", rule
    )
    assert (done.exit_code, told in done.stderr) == (2, True)


def test_a_unet_alone_is_quantised_and_needs_a_base(tmp_path: Path) -> None:
    unet = ModelFolder(BUNDLED).weights("unet")
    save_safetensors(tmp_path / "u.safetensors", {n: unet.read(n) for n in unet.entries})
    done = run(
        "model", "convert", tmp_path / "u.safetensors", tmp_path / "u.gguf", "--weights", "q5_0"
    )
    assert done.exit_code == 0, done.output
    assert open_gguf(tmp_path / "u.gguf").entry("mid_block.resnets.0.conv1.weight").dtype == "Q5_0"
    for command in ("show", "verify"):
        done = run("model", command, tmp_path / "u.gguf")
        assert done.exit_code == 2
        assert "must be a whole model, got a UNet alone" in done.stderr
        assert "BASE --unet u.gguf" in done.stderr
    together = (BUNDLED, "--unet", tmp_path / "u.gguf")
    shown = run("model", "show", *together).stdout.splitlines()
    assert f"unet of: {tmp_path / 'u.gguf'}" in shown
    assert any(line.startswith("unet: 326 tensors, Q5_0") for line in shown)
    assert "unet: 326 tensors fit, all numbers finite" in run("model", "verify", *together).stdout
    (tmp_path / "cut.gguf").write_bytes((tmp_path / "u.gguf").read_bytes()[:-9])
    assert run("model", "verify", BUNDLED, "--unet", tmp_path / "cut.gguf").exit_code == 2


WRONG = [
    ("a.gguf --weights q9", r"--weights must be one of f16, fp8, fp8_e4m3fn, .*; got 'q9'"),
    (
        "a.gguf --weights fp8",
        r"--weights must go to a \.safetensors file: GGUF has no 8-bit floats",
    ),
    ("a.safetensors --weights q4_k", r"--weights must go to a \.gguf file"),
    ("a.ckpt --weights q8_0", r"its name must end in \.safetensors or \.gguf"),
    ("old.gguf --weights q8_0", "it exists; give another OUT, or remove it first"),
    ("a.gguf", "--weights"),
]


@pytest.mark.parametrize(("line", "pattern"), WRONG)
def test_wrong_arguments(
    line: str, pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.gguf").write_bytes(b"GGUF")
    done = run("model", "convert", BUNDLED, *line.split())
    assert done.exit_code == 2
    assert re.search(pattern, done.stderr), done.stderr
    assert file_names(tmp_path) == ["old.gguf"]


def test_the_other_command_writes_no_gguf(tmp_path: Path) -> None:
    done = run("convert", BUNDLED, "-o", tmp_path / "a.gguf")
    assert done.exit_code == 2
    assert "avila model convert MODEL OUT --weights TYPE" in done.stderr


def test_types_that_are_not_read_are_named(tmp_path: Path) -> None:
    infos = [info(f"a{n}", (256,), 16, 96 * n) for n in range(7)]
    (tmp_path / "a.gguf").write_bytes(gguf_file(infos, bytes(96 * 7)))
    for line in ("model convert a.gguf b.gguf --weights q8_0", "convert a.gguf -o b.safetensors"):
        done = run(*(str(tmp_path / word) if "." in word else word for word in line.split()))
        assert done.exit_code == 2
        assert "got 'a0' (IQ2_XXS), 'a1' (IQ2_XXS), 'a2' (IQ2_XXS)" in done.stderr
        assert "and 2 more; get the model in another type" in done.stderr
    assert file_names(tmp_path) == ["a.gguf"]


def test_damaged_files_are_refused(tmp_path: Path, small: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(small.read_bytes()[:100_000])
    for command in ("show", "verify"):
        done = run("model", command, tmp_path / "cut.gguf")
        assert done.exit_code == 2
        assert "must end within the file's 100000 bytes" in done.stderr
    (tmp_path / "a.safetensors").write_bytes(small.read_bytes())
    done = run("model", "show", tmp_path / "a.safetensors")
    assert "this is a GGUF file; give it a name that ends in .gguf" in done.stderr
