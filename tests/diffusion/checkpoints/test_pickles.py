"""Pickles are never loaded: one that would leave a trace leaves none, whatever it is called."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from diffusion.checkpoints import ModelFolder, open_safetensors
from diffusion.errors import ModelError, ModelFormatError
from tests.diffusion.checkpoints.small_folder import load, write_folder

REMEDY = "convert it to safetensors: avila convert"


class Canary:
    """Unpickling it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir, (self.trace,)  # type: ignore[return-value]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def canary_pickle(trace: Path, protocol: int = 2) -> bytes:
    return pickle.dumps({"state_dict": {"a": Canary(trace)}}, protocol)


def zip_pickle(content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Put the pickle inside a zip archive, as PyTorch since 1.6 does."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content)
    return buffer.getvalue()


def test_the_canary_sings_when_loaded(trace: Path) -> None:
    pickle.loads(canary_pickle(trace))
    assert trace.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "model.ckpt", "embedding.pt", "upscaler.pth", "pytorch_lora_weights.bin"],
)
def test_pickle_as_weights(name: str, protocol: int, trace: Path) -> None:
    file = trace.with_name(name)
    file.write_bytes(canary_pickle(trace, protocol))
    with pytest.raises(ModelFormatError, match=f"Python pickle .*{REMEDY}"):
        open_safetensors(file)
    assert not trace.exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt"])
def test_pickle_inside_a_zip(name: str, compression: int, trace: Path) -> None:
    file = trace.with_name(name)
    file.write_bytes(zip_pickle(canary_pickle(trace), compression))
    with pytest.raises(ModelFormatError, match=f"zip archive .*{REMEDY}"):
        open_safetensors(file)
    assert not trace.exists()


def test_checkpoint_given_as_the_model(trace: Path) -> None:
    file = trace.with_name("model.ckpt")
    file.write_bytes(zip_pickle(canary_pickle(trace)))
    with pytest.raises(ModelFormatError, match=REMEDY):
        ModelFolder(file)
    assert not trace.exists()


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "diffusion_pytorch_model.fp16.bin", "x.ckpt"]
)
def test_folder_with_pickles_only(part: str, name: str, trace: Path) -> None:
    folder = write_folder(trace.with_name("model"))
    next((folder / part).glob("*.safetensors")).unlink()
    (folder / part / name).write_bytes(zip_pickle(canary_pickle(trace)))
    with pytest.raises(ModelFormatError, match=REMEDY) as caught:
        ModelFolder(folder).weights(part)  # type: ignore[arg-type]
    assert Path(caught.value.file).name == name
    assert not trace.exists()


@pytest.mark.parametrize(
    "place",
    [
        "model_index.json",
        "unet/config.json",
        "vae/config.json",
        "scheduler/scheduler_config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    ],
)
def test_pickle_in_the_place_of_any_file(place: str, trace: Path) -> None:
    folder = write_folder(trace.with_name("model"))
    (folder / place).write_bytes(canary_pickle(trace))
    with pytest.raises(ModelError, match=REMEDY):
        load(folder)
    assert not trace.exists()
