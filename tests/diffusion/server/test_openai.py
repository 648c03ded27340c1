"""OpenAI's routes: with the ``openai`` package as it comes from PyPI, and field by field."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from PIL import Image

from diffusion.server.routes.openai.picture_names import LIFETIME
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

TOKENS = {"ana": "a" * 24, "bo": "b" * 24}
RED = Image.new("RGB", (64, 48), (255, 0, 0))


def client_of(live: Live, token: str = "no token is needed here") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key=token, max_retries=0, timeout=30)


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with client_of(live) as client:
        yield client


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Live]:
    """Return a server with two users, of whom one is an admin."""
    users = tmp_path / "users.toml"
    users.touch(0o600)
    users.write_text(
        f'[[users]]\nname = "ana"\ntoken = "{TOKENS["ana"]}"\nscopes = ["admin"]\n'
        f'[[users]]\nname = "bo"\ntoken = "{TOKENS["bo"]}"\n'
    )
    with run_on_thread(tmp_path / "out", users=users) as live:
        yield live


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def picture(encoded: str | None) -> Image.Image:
    assert encoded is not None
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def with_hole() -> Image.Image:
    """Return a picture whose left half is transparent."""
    image = Image.new("RGBA", (64, 48), (0, 255, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 32, 48))
    return image


def test_the_package_generates(client: openai.OpenAI, live: Live) -> None:
    answer = client.images.generate(
        prompt="a red apple",
        model="emoji",
        n=2,
        size="64x48",
        quality="high",
        user="somebody",
        background="opaque",
        moderation="low",
        extra_body={"negative_prompt": "bad", "seed": 5, "guidance": 3, "sampler": "Euler a"},
    )
    assert answer.data is not None
    images = [picture(each.b64_json) for each in answer.data]
    assert [image.size for image in images] == [(64, 48), (64, 48)]
    assert ["Seed: 5" in images[0].info["parameters"], "Seed: 6" in images[1].info["parameters"]]
    assert (answer.size, answer.quality, answer.output_format) == ("64x48", "high", "png")
    assert answer.background == "opaque"
    assert answer.safety_identifier == "somebody"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 0
    (drawn,) = live.engine.drawn
    assert (drawn.prompt, drawn.negative, drawn.steps) == ("a red apple", "bad", 30)
    assert (drawn.seed, drawn.count, drawn.guidance, drawn.sampler) == (5, 2, 3, "Euler a")


def test_what_is_left_out_is_the_models_choice(client: openai.OpenAI, live: Live) -> None:
    answer = client.images.generate(prompt="x", size="auto", quality="auto", n=None, model="")
    assert (answer.size, answer.quality) == ("64x48", "medium")
    (drawn,) = live.engine.drawn
    assert (drawn.width, drawn.height, drawn.steps, drawn.count) == (None, None, None, 1)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_pictures_come_in_three_kinds(client: openai.OpenAI, kind: Any) -> None:
    answer = client.images.generate(prompt="x", output_format=kind)
    assert answer.data is not None
    assert (picture(answer.data[0].b64_json).format or "").lower() == kind
    assert answer.output_format == kind


def test_compression_makes_files_smaller(live: Live) -> None:
    def length(compression: int) -> int:
        body = {"prompt": "x", "size": "512x512", "seed": 1}
        body |= {"output_format": "jpeg", "output_compression": compression}
        answer = live.post("/v1/images/generations", body).json()
        return len(answer["data"][0]["b64_json"])

    assert length(10) < length(100)


def test_urls_lead_to_the_picture_for_an_hour(
    client: openai.OpenAI, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = client.images.generate(prompt="x", response_format="url", output_format="webp", n=2)
    assert answer.data is not None
    first, second = (each.url or "" for each in answer.data)
    assert first.startswith(f"{live.url}/v1/images/files/")
    found = requests.get(second, timeout=30)
    assert found.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(found.content)).format == "WEBP"
    last = "0" if first[-6] != "0" else "1"
    forged = requests.get(first[:-6] + last + first[-5:], timeout=30)
    assert forged.status_code == 404
    late = time.time() + LIFETIME + 1
    monkeypatch.setattr(time, "time", lambda: late)
    old = requests.get(first, timeout=30)
    assert old.status_code == 404
    assert "older than an hour" in old.json()["error"]["message"]


def test_urls_are_for_their_owner_and_follow_a_proxy(guarded: Live) -> None:
    def get(url: str, name: str) -> int:
        headers = {"authorization": f"Bearer {TOKENS[name]}"} if name else {}
        return requests.get(url, headers=headers, timeout=30).status_code

    body = {"prompt": "x", "response_format": "url"}
    headers = {"authorization": f"Bearer {TOKENS['ana']}"}
    secret = guarded.post("/v1/images/generations", body, headers=headers).json()["data"][0]["url"]
    assert [get(secret, name) for name in ("ana", "bo", "")] == [200, 404, 401]
    headers |= {"authorization": f"Bearer {TOKENS['bo']}", "x-forwarded-proto": "https"}
    mine = guarded.post("/v1/images/generations", body, headers=headers).json()["data"][0]["url"]
    assert mine.startswith(f"https://127.0.0.1:{guarded.port}/v1/images/files/")
    mine = mine.replace("https:", "http:")
    assert [get(mine, name) for name in ("bo", "ana")] == [200, 200], "admins see all"


def test_the_package_edits_a_picture(client: openai.OpenAI, live: Live) -> None:
    answer = client.images.edit(
        image=("red.png", png(RED)),
        prompt="a green apple",
        input_fidelity="high",
        size="32x32",
        extra_body={"seed": 3, "steps": 2},
    )
    assert answer.data is not None
    assert picture(answer.data[0].b64_json).size == (32, 32)
    client.images.edit(image=[("red.png", png(RED))], prompt="x")
    first, second = live.engine.drawn
    assert first.init_image is not None
    assert (first.init_image.strength, first.init_image.inpaint) == (0.5, None)
    assert (first.init_image.resize, first.steps, first.seed) == ("crop", 2, 3)
    assert first.init_image.image.getpixel((0, 0)) == (255, 0, 0)
    assert second.init_image is not None
    assert second.init_image.strength == 0.75


def test_transparent_parts_of_the_mask_are_drawn_anew(client: openai.OpenAI, live: Live) -> None:
    client.images.edit(image=png(RED), mask=png(with_hole()), prompt="x")
    client.images.edit(image=png(with_hole()), prompt="x", extra_body={"strength": 0.8})
    for drawn, content, strength in zip(
        live.engine.drawn, ["original", "fill"], [1.0, 0.8], strict=True
    ):
        assert drawn.init_image is not None
        inpaint = drawn.init_image.inpaint
        assert inpaint is not None
        assert inpaint.mask.mode == "L"
        assert [inpaint.mask.getpixel((x, 0)) for x in (0, 31, 32, 63)] == [255, 255, 0, 0]
        assert (inpaint.content, drawn.init_image.strength) == (content, strength)
        assert not inpaint.invert


def test_open_webui_generates_and_edits(live: Live) -> None:
    """Requests with the fields and headers of Open WebUI's ``routers/images.py``."""
    headers = {"Authorization": "Bearer ", "X-OpenWebUI-User-Name": "ana"}
    shared = {"model": "emoji", "prompt": "an apple", "n": 1, "size": "64x48"}
    shared |= {"response_format": "b64_json"}
    more = {"steps": 9, "seed": 4, "negative_prompt": "bad"}
    answer = live.post("/v1/images/generations", shared | more, headers=headers)
    assert picture(answer.json()["data"][0]["b64_json"]).size == (64, 48)
    files = [("image[]", ("image.png", png(RED), "image/png"))]
    edited = live.post("/v1/images/edits", data=shared, files=files, headers=headers)
    assert picture(edited.json()["data"][0]["b64_json"]).size == (64, 48)
    first, second = live.engine.drawn
    assert (first.steps, first.seed, first.negative) == (9, 4, "bad")
    assert second.init_image is not None


def test_the_package_varies_a_picture(client: openai.OpenAI, live: Live) -> None:
    with pytest.deprecated_call():
        answer = client.images.create_variation(  # type: ignore[deprecated]
            image=png(RED), n=2, size="256x256", response_format="url"
        )
    assert answer.data is not None
    assert len({each.url for each in answer.data}) == 2
    (drawn,) = live.engine.drawn
    assert drawn.init_image is not None
    assert (drawn.prompt, drawn.init_image.strength, drawn.count) == ("", 0.6, 2)


@pytest.mark.parametrize(
    ("edits", "name"), [(False, "image_generation"), (True, "image_edit")], ids=["text", "edit"]
)
def test_the_package_streams(client: openai.OpenAI, live: Live, edits: bool, name: str) -> None:
    live.engine.permits = permits = threading.Semaphore(1)
    extra = {"steps": 8}
    if edits:
        extra["strength"] = 1
        stream: Any = client.images.edit(
            image=png(RED), prompt="x", stream=True, partial_images=3, extra_body=extra
        )
    else:
        stream = client.images.generate(
            prompt="x", size="64x48", stream=True, partial_images=3, extra_body=extra
        )
    events = []
    for count in (2, 2, 3, 0):  # steps 2, 4 and 6 are seen before the next begins
        events.append(next(stream))
        permits.release(count or 1)
    assert list(stream) == []
    assert [event.type for event in events] == [f"{name}.partial_image"] * 3 + [f"{name}.completed"]
    assert [event.partial_image_index for event in events[:-1]] == [0, 1, 2]
    assert {picture(event.b64_json).format for event in events} == {"PNG"}
    if not edits:
        assert {picture(event.b64_json).size for event in events} == {(64, 48)}
    blue = picture(events[0].b64_json).convert("RGB").getpixel((0, 0))
    assert isinstance(blue, tuple)
    assert blue[2] > 200
    assert "Seed" in picture(events[-1].b64_json).info["parameters"]
    assert events[-1].usage.total_tokens == 0
    assert (events[-1].background, events[-1].quality) == ("opaque", "medium")


def test_several_pictures_stream_one_after_another(client: openai.OpenAI, live: Live) -> None:
    live.engine.permits = permits = threading.Semaphore(1)
    with client.images.generate(
        prompt="x",
        n=2,
        stream=True,
        partial_images=1,
        output_format="jpeg",
        extra_body={"steps": 4},
    ) as stream:
        events: list[Any] = []
        for count in (3, 1, 3, 1):
            events.append(next(stream))
            permits.release(count)
    kinds = [event.type.rpartition(".")[2] for event in events]
    assert kinds == ["partial_image", "completed"] * 2
    assert {picture(event.b64_json).format for event in events} == {"JPEG"}
    (drawn,) = live.engine.drawn
    assert (drawn.count, drawn.batch) == (2, 1)


def test_a_stream_without_partial_pictures_has_one_event(client: openai.OpenAI) -> None:
    events = list(client.images.generate(prompt="x", stream=True))
    assert [event.type for event in events] == ["image_generation.completed"]


def test_a_client_that_leaves_its_stream_cancels_the_job(client: openai.OpenAI, live: Live) -> None:
    with client.images.generate(prompt="hold on", stream=True):
        (job,) = wait_until(lambda: live.get("/api/v1/jobs").json()["jobs"])
        wait_until(lambda: live.job(job["id"])["step"] == 1)
    assert live.wait_for(job["id"], "cancelled")["pictures"] == []


def test_a_stream_outlives_its_worker(client: openai.OpenAI, live: Live) -> None:
    with client.images.generate(prompt="hold on", stream=True) as stream:
        (job,) = wait_until(lambda: live.get("/api/v1/jobs").json()["jobs"])
        wait_until(lambda: live.job(job["id"])["step"] == 1)
        live.call(live.engine.lose)
        live.engine.released.set()
        assert [event.type for event in stream] == ["image_generation.completed"]
    assert len(live.engine.drawn) == 2


def test_a_stream_that_fails_raises(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="numbers are infinite or NaN"):
        list(client.images.generate(prompt="fail", stream=True))


def test_the_package_draws_without_blocking(live: Live) -> None:
    async def draw() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{live.url}/v1", api_key="none") as client:
            answer = await client.images.generate(prompt="x")
            stream = await client.images.generate(prompt="x", stream=True)
            return [answer.data, *[event async for event in stream]]

    data, event = asyncio.run(draw())
    assert len(data) == 1
    assert event.type == "image_generation.completed"


def test_the_package_lists_models(client: openai.OpenAI) -> None:
    models = client.models.list().data
    assert "emoji" in [model.id for model in models]
    model = client.models.retrieve("emoji")
    assert (model.id, model.object, model.owned_by) == ("emoji", "model", "local")
    assert model.created > 0
    with pytest.raises(openai.NotFoundError, match="there is no model 'someone/else'"):
        client.models.retrieve("someone/else")


@pytest.mark.parametrize(
    ("fields", "parameter", "code", "words"),
    [
        ({"prompt": ""}, "prompt", "invalid_value", "at least 1 character"),
        ({"size": "big"}, "size", "invalid_value", "must be auto or WIDTHxHEIGHT"),
        ({"size": "500x512"}, "size", "invalid_value", "width must be a multiple of 8"),
        ({"size": "4096x4096"}, "size", "invalid_value", "at most 4194304 pixels"),
        ({"n": 11}, "n", "invalid_value", "less than or equal to 10"),
        ({"background": "transparent"}, "background", "invalid_value", "every pixel"),
        ({"style": "vivid"}, "style", "invalid_value", "leave it out"),
        ({"output_format": "svg"}, "output_format", "invalid_value", "'png', 'jpeg' or 'webp'"),
        (
            {"output_compression": 50},
            "output_compression",
            "invalid_value",
            "needs output_format jpeg",
        ),
        ({"partial_images": 2}, "partial_images", "invalid_value", "needs stream"),
        ({"negative": "x"}, "negative", "unknown_parameter", "Extra inputs"),
        ({"sampler": "eulr"}, "sampler", "invalid_value", "did you mean euler"),
    ],
)
def test_wrong_requests_are_refused_in_openais_form(
    live: Live, fields: dict[str, Any], parameter: str | None, code: str, words: str
) -> None:
    answer = live.post("/v1/images/generations", {"prompt": "x", **fields})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (parameter, code)
    assert error["type"] == "invalid_request_error"
    assert words in error["message"]
    assert live.get("/api/v1/jobs").json() == {"jobs": []}


def test_the_package_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"no model 'dall-e-3'.*did you mean") as found:
        client.images.generate(prompt="x", model="dall-e-3")
    assert (found.value.code, found.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="background must be opaque") as refused:
        client.images.generate(prompt="x", background="transparent")
    assert refused.value.param == "background"
    with pytest.raises(openai.InternalServerError, match="infinite or NaN") as failed:
        client.images.generate(prompt="fail")
    assert failed.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(openai.NotFoundError, match="Not Found"):
        client.post("/chat/completions", body={}, cast_to=object)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "image is missing; send one picture"),
        ({"image": b"no picture"}, "give a PNG, JPEG or WebP file"),
        ({"image": png(RED), "mask": png(RED)}, "must have transparent parts"),
        ({"image": png(RED), "mask": png(Image.new("RGBA", (8, 8)))}, "as large as the picture"),
    ],
)
def test_wrong_pictures_are_refused(live: Live, files: dict[str, bytes], words: str) -> None:
    answer = live.post("/v1/images/edits", data={"prompt": "x"}, files=files)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] in ("image", "mask")


def test_two_pictures_and_markup_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="must be one picture; got '2 pictures'"):
        client.images.edit(image=[png(RED), png(RED)], prompt="x")
    with pytest.raises(
        openai.BadRequestError,
        match="markup cannot be 'UploadFile'; these models",
    ):
        client.images.edit(image=png(RED), markup=png(with_hole()), prompt="x")


def test_wrong_tokens_are_refused_in_openais_form(guarded: Live) -> None:
    with client_of(guarded, "wrong") as client, pytest.raises(openai.AuthenticationError) as found:
        client.models.list()
    assert found.value.code == "invalid_api_key"
    with client_of(guarded, TOKENS["bo"]) as client:
        assert client.models.list().data


def test_a_full_queue_is_a_rate_limit(tmp_path: Path) -> None:
    with run_on_thread(tmp_path / "out", queue=1) as live, client_of(live) as client:
        for _ in range(2):
            live.submit("hold on")
        with pytest.raises(openai.RateLimitError) as found:
            client.images.generate(prompt="x")
        assert found.value.code == "rate_limit_exceeded"
        assert int(found.value.response.headers["retry-after"]) >= 1


def test_no_pictures_are_no_success(client: openai.OpenAI, live: Live) -> None:
    with pytest.raises(openai.ConflictError, match="interrupted before its first picture"):
        client.images.generate(prompt="nothing")
    assert live.post("/txt2img", {"prompt": "nothing"}).status_code == 409


def test_a_cancelled_job_is_no_success(client: openai.OpenAI, live: Live) -> None:
    failures: list[Exception] = []

    def draw() -> None:
        try:
            client.images.generate(prompt="hold on")
        except openai.ConflictError as error:
            failures.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    (job,) = wait_until(lambda: live.get("/api/v1/jobs").json()["jobs"])
    wait_until(lambda: live.job(job["id"])["step"] == 1)
    live.delete(f"/api/v1/jobs/{job['id']}")
    thread.join(30)
    assert "the job was cancelled" in str(failures[0])
