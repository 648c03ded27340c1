"""Files of models that lack a tokenizer, or all but the UNet: settings complete them, or 422."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.checkpoints import ModelFolder, open_model, save_safetensors
from diffusion.checkpoints.bundled import bundled_model
from diffusion.checkpoints.quantizing import WEIGHT_NAMES, Rules, save_quantized
from diffusion.checkpoints.tensor_files import open_tensors
from diffusion.server.engine.process import ProcessEngine
from diffusion.server.errors import ConfigurationError
from diffusion.server.launch import make_server
from diffusion.server.model_files import ModelFiles
from diffusion.server.settings import load_settings
from diffusion.server.worker.process import WorkerOptions
from gpucore import Device
from tests.diffusion.cli.fake_pipeline import run
from tests.diffusion.server.fake_engine import FakeEngine
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

COMPILING: Final = 300.0
"""Seconds that a picture may take where nothing is compiled and the machine is busy."""
SIZE: Final[dict[str, Any]] = {"seed": 4, "steps": 2, "width": 64, "height": 64}
TOKENIZER: Final = bundled_model() / "tokenizer"
NO_TOKENIZER: Final = "a single file holds no tokenizer"
ALONE: Final = "got a UNet alone; name a model for its other parts"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a whole model and a UNet, both in GGUF."""
    folder = tmp_path_factory.mktemp("models")
    whole = ModelFolder(bundled_model())
    save_quantized(whole, folder / "whole.gguf", Rules(WEIGHT_NAMES["q8_0"]), lambda *_: None)
    weights = whole.weights("unet")
    tensors = {name: weights.read(name) for name in weights.entries}
    plain = folder.parent / "plain.safetensors"
    save_safetensors(plain, tensors)
    rules = Rules(WEIGHT_NAMES["q8_0"])
    save_quantized(open_tensors(plain), folder / "bare.gguf", rules, lambda *_: None)
    plain.unlink()
    return folder


@pytest.fixture(scope="module", params=["without", "with"])
def live(
    request: pytest.FixtureRequest, models: Path, first: Device, tmp_path_factory: Any
) -> Iterator[tuple[Live, bool]]:
    """Return a server without and with the settings that complete the files."""
    device = first.info.backend.partition("-")[0]
    settings: dict[str, Any] = {"models": models}
    files = ModelFiles()
    if request.param == "with":
        settings |= {"tokenizer": TOKENIZER, "unet_base": "emoji"}
        files = ModelFiles(TOKENIZER, bundled_model())
    engine = ProcessEngine("worker", WorkerOptions(device, files=files))
    with run_on_thread(tmp_path_factory.mktemp("out"), [engine], **settings) as live:
        wait_until(lambda: live.get("/readyz").ok, COMPILING)
        yield live, request.param == "with"


@pytest.mark.parametrize(("name", "reason"), [("whole", NO_TOKENIZER), ("bare", ALONE)])
def test_each_route_completes_a_file_or_says_what_it_lacks(
    live: tuple[Live, bool], name: str, reason: str, models: Path
) -> None:
    server, completed = live
    answers = [
        server.post("/api/v1/tokens", {"prompts": ["an apple"], "model": name}),
        server.get(f"/api/v1/loras?model={name}"),
        server.get(f"/api/v1/embeddings?model={name}"),
    ]
    assert answers[2].status_code == 200, "without words no model is opened"
    for answer in answers[:2]:
        assert answer.status_code == (200 if completed else 422), answer.text
        assert completed or reason in answer.json()["detail"]
        assert str(models.parent) not in answer.text


@pytest.mark.parametrize(("name", "reason"), [("whole", NO_TOKENIZER), ("bare", ALONE)])
def test_a_picture_is_drawn_or_refused_with_what_to_do(
    live: tuple[Live, bool], models: Path, first: Device, name: str, reason: str
) -> None:
    server, completed = live
    body = {"prompt": "a red apple", "model": name, **SIZE}
    number = server.submit(**body)
    done = wait_until(lambda: _ended(server, number), COMPILING)
    if not completed:
        assert (done["state"], reason in done["message"]) == ("failed", True), done
        answer = server.post("/txt2img", body)
        assert (answer.status_code, reason in answer.text) == (422, True), answer.text
        assert str(models.parent) not in answer.text
        webui = {"prompt": "x", **SIZE, "override_settings": {"sd_model_checkpoint": name}}
        assert server.post("/sdapi/v1/txt2img", webui).status_code == 422
        openai = {"prompt": "x", "model": name, "size": "64x64"}
        assert server.post("/v1/images/generations", openai).status_code == 400
        return
    assert done["state"] == "done", done
    given: dict[str, Any] = {"tokenizer": TOKENIZER} if name == "whole" else {}
    model = models / "whole.gguf" if name == "whole" else None
    unet = None if name == "whole" else models / "bare.gguf"
    pipeline = Pipeline.load(model, first, unet=unet, **given)
    drawn = pipeline.draw(Settings("a red apple", **SIZE))[0]
    assert done["pictures"][0]["infotext"].split("Model: ")[1].startswith(f"{name},")
    kept = server.get(f"/api/v1/jobs/{number}/result").content
    with Image.open(io.BytesIO(kept)) as image:
        assert np.array_equal(np.asarray(image), np.asarray(drawn))


def _ended(server: Live, number: str) -> dict[str, Any] | None:
    job = server.job(number)
    return job if job["state"] in ("done", "failed") else None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "whole"}, f"model: .*{NO_TOKENIZER}.*--tokenizer"),
        ({"model": "bare"}, f"model: .*{ALONE}.*--unet-base"),
        ({"unet_base": "nothing"}, "unet_base: there is no model 'nothing'"),
        ({"unet_base": "whole"}, f"tokenizer or unet_base: .*{NO_TOKENIZER}"),
        ({"unet_base": "bare"}, "tokenizer or unet_base: .*a UNet alone"),
        ({"tokenizer": Path("nowhere")}, "tokenizer or unet_base: nowhere/vocab.json"),
    ],
)
def test_the_server_does_not_start_with_a_model_that_cannot_draw(
    models: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    options = {"output": tmp_path, "port": 0, "models": models, **settings}
    with pytest.raises(ConfigurationError, match=words):
        make_server(load_settings(None, options), [FakeEngine()])


def test_the_command_says_it_in_one_line(models: Path, tmp_path: Path) -> None:
    done = run("serve", "--output", tmp_path, "--models", models, "--model", "bare")
    assert (done.exit_code, ALONE in done.stderr) == (2, True), done.stderr
    base = ("--unet-base", "whole", "--tokenizer", TOKENIZER / "gone")
    done = run("serve", "--output", tmp_path / "other", "--models", models, *base)
    assert done.exit_code == 2
    assert "vocab.json: there is no such file" in " ".join(done.stderr.split())


def test_a_tokenizer_beside_a_file_is_its_own(models: Path, tmp_path: Path) -> None:
    """The setting is for files that have none; a model's folder has its own."""
    shutil.copy(models / "whole.gguf", tmp_path)
    files = ModelFiles(TOKENIZER)
    assert files.complete(tmp_path / "whole.gguf").tokenizer == TOKENIZER
    shutil.copytree(TOKENIZER, tmp_path / "tokenizer")
    assert files.complete(tmp_path / "whole.gguf").tokenizer is None
    assert files.complete(bundled_model()) == (bundled_model(), None, None)
    opened = files.open(tmp_path / "whole.gguf")
    assert opened.tokenizers["text_encoder"] == tmp_path / "tokenizer"
    assert open_model(bundled_model()).path == files.open(bundled_model()).path
