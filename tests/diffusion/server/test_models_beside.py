"""A VAE, a refiner and a model of hires fix that requests name, through all interfaces."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from diffusion import Pipeline, Settings, refine
from diffusion.checkpoints.bundled import bundled_model
from diffusion.client import Client, Models, VaeRecord
from diffusion.errors import SettingsError
from diffusion.infotext.grammar import parse_infotext
from diffusion.pipeline.refiner import Companions
from diffusion.server.engine.messages import ModelsBeside
from diffusion.server.engine.process import ProcessEngine
from diffusion.server.worker.process import WorkerOptions
from diffusion.tasks import Hires
from gpucore import Device
from tests.diffusion.server.fake_studio import FakeStudio
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until
from tests.diffusion.server.model_folders import copy_model, copy_vae

SIZE: Final = {"seed": 4, "steps": 2, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with VAEs and a second model, whose weights differ from the bundled ones."""
    root = tmp_path_factory.mktemp("files")
    copy_vae(root / "vaes" / "warm", 0.5)
    copy_vae(root / "vaes" / "old" / "emoji.vae", 0.8)
    copy_model(root / "models" / "second", 0.9)
    return root


@pytest.fixture(scope="module")
def live(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return a server with a fake engine, which has VAEs and a second model."""
    out = tmp_path_factory.mktemp("out")
    with run_on_thread(out, vaes=folders / "vaes", models=folders / "models") as live:
        yield live


def beside_of(live: Live) -> ModelsBeside:
    """Return what drew a part of the last job."""
    return live.engine.tasks[-1].beside


def test_vaes_are_listed_by_name(live: Live, folders: Path) -> None:
    assert live.get("/api/v1/vaes").json() == {
        "vaes": [{"name": "old/emoji.vae"}, {"name": "warm"}]
    }
    names = [each["model_name"] for each in live.get("/sdapi/v1/sd-vae").json()]
    assert names == ["old/emoji.vae", "warm"]
    assert str(folders) not in live.get("/sdapi/v1/sd-vae").text
    assert names == [each.name for each in _vaes(live)]
    assert live.post("/sdapi/v1/refresh-vae").status_code == 200


def _vaes(live: Live) -> list[VaeRecord]:
    with Client(live.url) as client:
        return client.vaes()


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/txt2img"])
def test_our_own_requests_name_a_vae(live: Live, folders: Path, path: str) -> None:
    answer = live.post(path, {"prompt": "x", "vae": "warm", **SIZE})
    assert answer.ok, answer.text
    warm = (folders / "vaes" / "warm").resolve()
    wait_until(lambda: live.engine.tasks and beside_of(live).vae == warm)
    wrong = live.post(path, {"prompt": "x", "vae": "worm", **SIZE})
    assert (wrong.status_code, "did you mean 'warm'?" in wrong.text) == (422, True)
    assert str(folders) not in wrong.text


def test_a_vae_over_the_webuis_options(live: Live, folders: Path) -> None:
    """The one called like the model is taken by itself, an override counts once, None is none."""

    def draw(**override: object) -> Path | None:
        body = {"prompt": "x", **SIZE, "override_settings": override}
        answer = live.post("/sdapi/v1/txt2img", body)
        assert answer.status_code == 200, answer.text
        return beside_of(live).vae

    own, other = ((folders / "vaes" / each).resolve() for each in ("old/emoji.vae", "warm"))
    shown = live.get("/sdapi/v1/options").json()
    assert shown["sd_vae"] == "Automatic"
    assert draw() == own
    assert draw(sd_vae="None") is None
    assert draw(sd_vae="warm.safetensors") == other
    assert draw() == own
    live.post("/sdapi/v1/options", {**shown, "sd_vae": "warm"})
    assert live.get("/sdapi/v1/options").json()["sd_vae"] == "warm"
    assert draw() == other
    live.post("/sdapi/v1/options", shown)
    assert draw() == own
    assert live.post("/sdapi/v1/options", {"sd_vae": "worm"}).status_code == 422


def test_a_refiner_over_all_interfaces(live: Live, folders: Path) -> None:
    second = folders / "models" / "second"
    body = {"prompt": "x", **SIZE, "refiner_checkpoint": "second", "refiner_switch_at": 0.5}
    assert live.post("/sdapi/v1/txt2img", body).status_code == 200
    assert beside_of(live) == ModelsBeside((folders / "vaes/old/emoji.vae").resolve(), second, 0.5)
    own = {"prompt": "x", **SIZE, "refiner": {"model": "second", "switch": 0.5}}
    assert live.post("/txt2img", own).status_code == 200
    assert beside_of(live) == ModelsBeside(None, second, 0.5)
    assert live.post("/txt2img", {**own, "model": "second"}).status_code == 200
    assert beside_of(live) == ModelsBeside(), "a model that refines itself is the model alone"
    both = {**own, "hires": {"scale": 2.0}}
    answer = live.post("/txt2img", both)
    assert (answer.status_code, "does not go with a refiner" in answer.text) == (422, True)


def test_a_model_of_hires_fix_over_all_interfaces(live: Live, folders: Path) -> None:
    second = folders / "models" / "second"
    body = {"prompt": "x", **SIZE, "enable_hr": True, "hr_checkpoint_name": "second"}
    assert live.post("/sdapi/v1/txt2img", body).status_code == 200
    assert beside_of(live).hires == second
    body["hr_checkpoint_name"] = "Use same checkpoint"
    assert live.post("/sdapi/v1/txt2img", body).status_code == 200
    assert beside_of(live).hires is None
    own = {"prompt": "x", **SIZE, "hires": {"scale": 2.0, "model": "second"}}
    assert live.post("/txt2img", own).status_code == 200
    assert beside_of(live).hires == second


def test_a_plot_of_where_the_refiner_takes_over(live: Live) -> None:
    body = {"prompt": "x", **SIZE, "refiner_checkpoint": "second", "script_name": "x/y/z plot"}
    body["script_args"] = ["Refiner switch at", "0.25,0.5"]
    assert live.post("/sdapi/v1/txt2img", body).status_code == 200
    assert [each.beside.switch for each in live.engine.tasks[-2:]] == [0.25, 0.5]


def test_the_client_names_them(live: Live, folders: Path) -> None:
    settings = Settings("x", **SIZE, hires=Hires(2.0))
    with Client(live.url) as client:
        client.wait(client.submit(settings, model=Models(vae="warm", hires="second")))
        assert beside_of(live).hires == folders / "models" / "second"
        assert beside_of(live).vae == (folders / "vaes" / "warm").resolve()
        client.wait(client.submit("x", model=Models(refiner="second", switch=0.25)))
        assert beside_of(live) == ModelsBeside(None, folders / "models" / "second", 0.25)
        with pytest.raises(SettingsError, match="give hires"):
            client.submit("x", model=Models(hires="second"))


def test_a_text_restores_them(live: Live) -> None:
    text = (
        "x\nSteps: 2, Sampler: Euler, CFG scale: 2, Seed: 4, Size: 64x64, Model: emoji, "
        "VAE: warm, Hires upscale: 2, Hires upscaler: Latent, Denoising strength: 0.7, "
        "Hires checkpoint: second [0123456789], {}"
    )
    read = live.post("/api/v1/gallery/read", {"text": text.format("Clip skip: 1")}).json()
    assert read["settings"]["vae"] == "warm"
    assert read["settings"]["hires"]["model"] == "second"
    refined = text.replace("Hires checkpoint", "Refiner").format("Refiner switch at: 0.6")
    settings = live.post("/api/v1/gallery/read", {"text": refined}).json()["settings"]
    assert settings["refiner"] == {"model": "second", "switch": 0.6}
    gone = text.replace("second", "third").replace("warm", "cold").format("Clip skip: 1")
    notes = " ".join(live.post("/api/v1/gallery/read", {"text": gone}).json()["notes"])
    assert "the VAE cold is not on this server" in notes
    assert "the model third" in notes


def test_a_restart_finds_them_again(folders: Path, tmp_path: Path) -> None:
    """A job that waited is drawn with the same networks by the next server."""
    options = {"vaes": folders / "vaes", "models": folders / "models"}
    with run_on_thread(tmp_path, **options) as live:
        number = live.submit("hold", **SIZE)
        waiting = live.submit("x", vae="warm", refiner={"model": "second"}, **SIZE)
        live.wait_for(number, "running")
        live.engine.released.clear()
    with run_on_thread(tmp_path, **options) as live:
        live.engine.released.set()
        live.wait_for(waiting, "done")
        beside = next(each for each in live.engine.tasks if each.job == waiting).beside
    assert beside.vae == (folders / "vaes/warm").resolve()
    assert beside.refiner == options["models"] / "second"


@pytest.mark.slow
def test_a_worker_keeps_models_and_their_vaes(folders: Path, tmp_path: Path) -> None:
    """Jobs with several models wait for others of these; a VAE that does not fit fails its job."""
    engine = ProcessEngine("worker", FakeStudio())
    copy_vae(folders / "vaes" / "broken", 1.0)
    options = {"vaes": folders / "vaes", "models": folders / "models"}
    with run_on_thread(tmp_path, [engine], **options) as live:
        several: list[dict[str, Any]] = [{}, {"vae": "warm"}, {"model": "second"}, {"vae": "warm"}]
        jobs = [live.submit("slow", **SIZE, **more) for more in several]
        done = [live.wait_for(each, "done") for each in jobs]
        texts = [parse_infotext(each["pictures"][0]["infotext"]).settings for each in done]
        assert [each.get("VAE") for each in texts] == [None, "warm", None, "warm"]
        failed = live.wait_for(live.submit("x", vae="broken", **SIZE), "failed")
        assert "latent_channels must be 4" in failed["message"]
        assert str(folders) not in failed["message"]


@pytest.fixture(scope="module")
def pipelines(folders: Path, first: Device) -> tuple[Pipeline, Pipeline]:
    base = Pipeline.load(device=first)
    return base, Pipeline.load(folders / "models" / "second", first)


def test_another_vae_shares_all_but_the_vae(
    folders: Path, pipelines: tuple[Pipeline, Pipeline], first: Device
) -> None:
    """Its pictures have the bits of a model that was loaded with it; the first keeps its own."""
    base, settings = pipelines[0], Settings("a red apple", **SIZE)
    own = base.draw(settings)[0]
    other = base.with_vae(folders / "vaes" / "warm")
    loaded = Pipeline.load(device=first, vae=folders / "vaes" / "warm")
    drawn, expected = other.draw(settings)[0], loaded.draw(settings)[0]
    assert drawn.tobytes() == expected.tobytes() != own.tobytes()
    assert drawn.infotext == expected.infotext
    assert other.networks.unet is base.networks.unet
    assert base.draw(settings)[0].tobytes() == own.tobytes()
    assert "VAE: warm" in drawn.infotext
    assert base.vae_hash != other.vae_hash


def test_hires_by_another_model(pipelines: tuple[Pipeline, Pipeline]) -> None:
    """The first pass is the base's; the second one starts from its latents."""
    base, second = pipelines
    settings = Settings("a red apple", **SIZE, hires=Hires(1.5, "latent", 0.6))

    def draw(companions: Companions, by: Pipeline) -> Any:
        *_, result = companions.events(by, settings)
        return np.asarray(result.images[0])

    mixed = draw(Companions(hires=second), base)
    alone = [draw(Companions(), each) for each in pipelines]
    assert np.array_equal(mixed, draw(Companions(hires=second), base))
    assert mixed.shape == alone[0].shape == (96, 96, 3)
    assert all(np.any(mixed != each) for each in alone)
    assert np.array_equal(draw(Companions(hires=base), base), alone[0])


@pytest.mark.slow
@pytest.mark.parametrize("budget", [None, 64 << 20])
def test_a_worker_draws_with_real_ones(
    folders: Path, tmp_path: Path, first: Device, budget: int | None
) -> None:
    """The bits are those of Python's own functions, and the texts name the networks.

    The budget has room for one model.
    """
    options = {"vaes": folders / "vaes", "models": folders / "models"}
    name = first.info.backend.partition("-")[0]
    studio = WorkerOptions(name, budget=budget, vaes=folders / "vaes")
    with run_on_thread(tmp_path, [ProcessEngine("worker", studio)], **options) as live:

        def draw(**fields: object) -> Image.Image:
            answer = live.post("/txt2img", {"prompt": "a red apple", **SIZE, **fields})
            assert answer.status_code == 200, answer.text
            return Image.open(io.BytesIO(answer.content))

        warm, refined = draw(vae="warm"), draw(refiner={"model": "second", "switch": 0.5})
        enlarged = draw(hires={"scale": 1.5, "strength": 0.6, "model": "second"})
    base = Pipeline.load(device=first)
    second = Pipeline.load(folders / "models" / "second", first)
    settings = Settings("a red apple", **SIZE)
    assert warm.tobytes() == base.with_vae(folders / "vaes" / "warm").draw(settings)[0].tobytes()
    *_, result = refine(base, second, settings, 0.5)
    assert refined.tobytes() == result.images[0].tobytes()
    texts = [parse_infotext(each.info["parameters"]).settings for each in (warm, refined, enlarged)]
    title = f"second [{second.model_hash}]"
    assert texts[0]["VAE"] == "warm"
    assert texts[1]["Refiner"] == texts[2]["Hires checkpoint"] == title
    assert texts[1]["Refiner switch at"] == "0.5"


@pytest.mark.slow
def test_a_worker_keeps_weights_quantised(tmp_path: Path, first: Device) -> None:
    studio = WorkerOptions(first.info.backend.partition("-")[0], weights="q8_0")
    with run_on_thread(tmp_path, [ProcessEngine("worker", studio)]) as live:
        answer = live.post("/txt2img", {"prompt": "a red apple", **SIZE})
    image = Image.open(io.BytesIO(answer.content))
    (expected,) = Pipeline.load(device=first, weights="q8_0").draw(Settings("a red apple", **SIZE))
    assert image.tobytes() == expected.tobytes()
    assert parse_infotext(image.info["parameters"]).settings["Weights"] == "q8_0"


def test_the_bundled_model_is_what_the_folders_copy(folders: Path) -> None:
    """The copies are read as models: their configs are the bundled ones."""
    for name in ("model_index.json", "vae/config.json"):
        ours = json.loads((bundled_model() / name).read_text())
        assert json.loads((folders / "models" / "second" / name).read_text()) == ours
