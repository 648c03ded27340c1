"""The Python client against a running server: both clients, all they can do."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffusion import Settings
from diffusion.client import (
    AsyncClient,
    Client,
    ConflictError,
    ForbiddenError,
    Job,
    JobEndedError,
    NotFoundError,
    NotSignedInError,
    RefusedError,
    WaitTimeoutError,
)
from diffusion.client.job_json import job_body
from diffusion.control import Control
from diffusion.errors import DiffusionError, SettingsError
from diffusion.server.jobs.control_request import ControlRequest
from diffusion.server.jobs.guidance_request import (
    FreeURequest,
    GuidanceRequest,
    ThresholdingRequest,
)
from diffusion.server.jobs.request import (
    HiresRequest,
    InitImageRequest,
    InpaintRequest,
    JobRequest,
    SamplingRequest,
    VariationRequest,
)
from diffusion.tasks import (
    FreeU,
    GuidanceOptions,
    Hires,
    InitImage,
    Inpaint,
    SamplingSettings,
    Thresholding,
    Variation,
)
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

RED = Image.new("RGB", (64, 48), (255, 0, 0))


def test_it_draws(client: Client, live: Live) -> None:
    images = client.draw(Settings("a red apple", steps=3, seed=5, count=2, width=40, height=32))
    assert [image.size for image in images] == [(40, 32), (40, 32)]
    assert [f"Seed: {seed}" in images[seed - 5].info["parameters"] for seed in (5, 6)] == [True] * 2
    client.draw("a prompt alone", model="emoji")
    client.draw({"prompt": "as JSON", "steps": 2})
    settings, prompt, json = live.engine.drawn
    assert (settings.steps, settings.seed, settings.count) == (3, 5, 2)
    assert (prompt.prompt, json.prompt, json.steps) == ("a prompt alone", "as JSON", 2)


EVERYTHING = Settings(
    "a",
    negative="b",
    width=64,
    height=48,
    steps=7,
    guidance=3.5,
    sampler="Euler a",
    schedule="Karras",
    seed=2**64 - 1,
    count=3,
    batch=2,
    eta=0.5,
    emphasis="no_norm",
    clip_skip=2,
    init_image=InitImage(RED, 0.4, "crop", Inpaint(RED.convert("L"), blur=1.0, area="whole")),
    variation=Variation(9, 0.25, (32, 24)),
    vae_tiling="on",
    seamless="x",
    rng="cpu",
    sampling=SamplingSettings(s_churn=1.0, rho=5.0, noise_seed_delta=31337),
    zero_snr=True,
    guidance_options=GuidanceOptions(
        rescale=0.5, skip_below=2.0, perturbed=1.5, freeu=FreeU(1.1, version=1)
    ),
)


def test_every_setting_comes_through(client: Client, live: Live) -> None:
    client.draw(EVERYTHING)
    hires = Settings("a", hires=Hires(1.5, "Lanczos", 0.6, prompt="more"))
    client.draw(hires)
    first, second = live.engine.drawn
    pictures = ("init_image",)
    for each in fields(Settings):
        if each.name not in pictures:
            assert getattr(first, each.name) == getattr(EVERYTHING, each.name), each.name
    given, expected = first.init_image, EVERYTHING.init_image
    assert given is not None
    assert expected is not None
    assert (given.strength, given.resize) == (expected.strength, expected.resize)
    assert given.image.tobytes() == RED.tobytes()
    assert given.inpaint is not None
    assert (given.inpaint.blur, given.inpaint.mask.mode) == (1.0, "L")
    assert second.hires == hires.hires


def test_settings_that_the_server_does_not_take_are_known() -> None:
    """A setting that is new in one place must not be forgotten in the other."""
    known = set(JobRequest.model_fields) - {"model", "preview_every"}
    left = {"embeddings", "image_prompts", "inversions", "latents", "loras"}
    assert {each.name for each in fields(Settings)} - left <= known
    assert {each.name for each in fields(GuidanceOptions)} == set(GuidanceRequest.model_fields)
    assert {each.name for each in fields(Thresholding)} == set(ThresholdingRequest.model_fields)
    assert {each.name for each in fields(FreeU)} == set(FreeURequest.model_fields)
    assert {each.name for each in fields(SamplingSettings)} <= set(SamplingRequest.model_fields)
    assert {each.name for each in fields(InitImage)} <= set(InitImageRequest.model_fields)
    assert {each.name for each in fields(Inpaint)} <= set(InpaintRequest.model_fields)
    assert {each.name for each in fields(Hires)} <= set(HiresRequest.model_fields)
    assert {each.name for each in fields(Variation)} <= set(VariationRequest.model_fields)
    assert {each.name for each in fields(Control)} == set(ControlRequest.model_fields)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings("x", sampler=lambda run: iter(())), "sampler must be a name"),
        (Settings("x", width=500), "width must be a multiple of 8"),
    ],
)
def test_what_cannot_be_sent_is_refused(settings: Settings, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        job_body(settings, None, None)


def test_it_submits_waits_and_fetches(client: Client, live: Live) -> None:
    job = client.submit("hold on", preview_every=1)
    assert isinstance(job, Job)
    assert job.state in ("queued", "running")
    with pytest.raises(WaitTimeoutError, match=f"job {job.id} has not ended within 0.1 s"):
        client.wait(job, timeout=0.1)
    live.engine.released.set()
    done = client.wait(job.id)
    assert (done.state, done.progress, len(done.pictures)) == ("done", 1.0, 1)
    assert done.pictures[0].seed == job.seed
    assert client.pictures(job)[0].size == (64, 48)
    assert client.picture_file(done, 0, "webp")[8:12] == b"WEBP"
    assert client.picture_file(done, 0, "jpeg")[:2] == b"\xff\xd8"
    with pytest.raises(NotFoundError, match="has no picture 7"):
        client.picture_file(done, 7)


def test_events_come_with_previews_until_the_end(client: Client, live: Live) -> None:
    live.engine.permits = permits = threading.Semaphore(0)
    job = client.submit({"prompt": "x", "steps": 6}, preview_every=2)
    events = []
    for event in client.events(job, previews=True):
        events.append(event)
        permits.release()
    assert events[0].name == "state"
    assert events[0].job is not None
    last = events[-1]
    assert last.name == "end"
    assert last.job is not None
    assert last.job.state == "done"
    (picture,) = [event.picture for event in events if event.picture]
    assert picture == last.job.pictures[0]
    shown = [event.preview for event in events if event.preview]
    assert {image.size for image in shown} == {(16, 12)}
    steps = [event.step for event in events if event.name == "progress"]
    assert steps[-3:] == [4, 5, 6]
    assert [event.name for event in client.events(job)] == ["end"]


def test_it_cancels(client: Client, live: Live) -> None:
    job = client.submit("hold on")
    wait_until(lambda: client.show(job).step == 1)
    client.cancel(job)
    with pytest.raises(JobEndedError, match=f"job {job.id} was cancelled"):
        client.wait(job)
    assert client.cancel(job).state == "cancelled"
    failing = client.submit("fail")
    with pytest.raises(JobEndedError, match="failed: the VAE: numbers are infinite"):
        client.wait(failing)


def test_a_wait_that_is_broken_off_cancels_the_job(client: Client, live: Live) -> None:
    with pytest.raises(WaitTimeoutError):
        client.draw("hold on", timeout=0.2)
    (job,) = client.jobs()
    assert live.wait_for(job.id, "cancelled")


def test_it_lists_all_jobs_page_by_page(
    client: Client, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusion.client.operations.PAGE", 2)
    submitted = [client.submit("x").id for _ in range(5)]
    assert [job.id for job in client.jobs()] == submitted[::-1]


def test_the_same_key_makes_no_second_job(client: Client, live: Live) -> None:
    first = client.submit("an apple", key="my key")
    assert client.submit("an apple", key="my key").id == first.id
    assert client.submit("an apple").id != first.id
    with pytest.raises(ConflictError, match="came with another request before"):
        client.submit("a pear", key="my key")


def test_it_loads_and_unloads_models(client: Client, live: Live) -> None:
    assert next(model.name for model in client.models()) == "emoji"
    client.load_model("emoji")
    loaded = wait_until(lambda: next((m for m in client.models() if m.loaded), None))
    assert (loaded.name, loaded.bytes) == ("emoji", 1000)
    client.unload_model("emoji")
    wait_until(lambda: not any(model.loaded for model in client.models()))
    assert client.refresh_models()[0].name == "emoji"
    with pytest.raises(RefusedError, match="no model 'emojy'; did you mean emoji"):
        client.load_model("emojy")


def test_refusals_say_the_servers_sentence(client: Client) -> None:
    with pytest.raises(RefusedError, match="width must be a multiple of 8") as refused:
        client.submit({"prompt": "x", "width": 500})
    assert refused.value.status == 422
    with pytest.raises(RefusedError, match="stepz: Extra inputs"):
        client.submit({"prompt": "x", "stepz": 5})
    with pytest.raises(NotFoundError):
        client.show("../healthz")


def test_users_sign_in(tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    users.touch(0o600)
    users.write_text(f'[[users]]\nname = "bo"\ntoken = "{"b" * 24}"\n')
    with run_on_thread(tmp_path / "out", users=users) as live:
        with Client(live.url, "b" * 24) as client:
            assert client.draw("x")
            with pytest.raises(ForbiddenError, match="bo lacks the scope admin"):
                client.unload_model("emoji")
            with pytest.raises(ForbiddenError):
                client.submit("x", priority=5)
        with Client(live.url) as client, pytest.raises(NotSignedInError, match="sign in"):
            client.models()


def run(live: Live, work: Callable[[AsyncClient], Any]) -> Any:
    async def inside() -> Any:
        async with AsyncClient(f"127.0.0.1:{live.port}") as client:
            return await work(client)

    return asyncio.run(inside())


def test_the_async_client_does_the_same(live: Live) -> None:
    async def work(client: AsyncClient) -> None:
        both = await asyncio.gather(client.draw("x"), client.draw(Settings("y", seed=3)))
        assert [image.size for images in both for image in images] == [(64, 48)] * 2
        live.engine.permits = permits = threading.Semaphore(0)
        job = await client.submit("x", preview_every=1)
        events = []
        async for event in client.events(job, previews=True):
            events.append(event)
            permits.release()
        assert events[-1].name == "end"
        assert any(event.preview for event in events)
        done = await client.wait(job)
        assert await client.show(job) == done
        assert (await client.pictures(job))[0].size == (64, 48)
        assert (await client.picture_file(job))[:4] == b"\x89PNG"
        assert (await anext(client.jobs())).id == done.id
        assert (await client.cancel(job)).state == "done"
        assert [model.name for model in await client.models()] == [
            model.name for model in await client.refresh_models()
        ]
        assert (await client.load_model("emoji"))[0].name == "emoji"
        assert (await client.unload_model("emoji"))[0].name == "emoji"

    run(live, work)


def test_cancelling_the_task_cancels_the_job(live: Live) -> None:
    async def work(client: AsyncClient) -> Job:
        task = asyncio.ensure_future(client.draw("hold on"))
        while not live.engine.drawn:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await anext(client.jobs())

    assert live.wait_for(run(live, work).id, "cancelled")


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)
    for name in public(Client):
        blocking, awaited = (getattr(kind, name) for kind in (Client, AsyncClient))
        assert signature(blocking).parameters == signature(awaited).parameters, name
        assert blocking.__doc__ == awaited.__doc__, name


def test_a_client_serves_several_threads(client: Client) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(client.draw("x")))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [1] * 4


def test_errors_can_be_pickled() -> None:
    for error in (
        RefusedError(422, "no"),
        JobEndedError("job 1", "failed", "why"),
        WaitTimeoutError("job 1", 2),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert isinstance(again, DiffusionError)
        assert (str(again), again.args) == (str(error), error.args)
