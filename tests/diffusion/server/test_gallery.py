"""The gallery, choices and tokens: what the page asks of the server beside jobs."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from diffusion.infotext.files import png_info
from diffusion.server.jobs.request import JobRequest
from diffusion.server.routes.page_files import FOLDER
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until

PAGE_BYTES = 150_000


def draw(live: Live, prompt: str, **fields: Any) -> str:
    """Draw pictures; return the job's number."""
    number = live.submit(prompt, **fields)
    live.wait_for(number, "done")
    return number


def gallery(live: Live, query: str = "") -> dict[str, Any]:
    answer = live.get(f"/api/v1/gallery{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_pictures_are_listed_newest_first_and_in_pages(live: Live) -> None:
    first = draw(live, "a cat", count=3)
    second = draw(live, "a dog")
    everything = gallery(live)
    ids = [each["id"] for each in everything["pictures"]]
    assert ids == [f"{second}-0", f"{first}-2", f"{first}-1", f"{first}-0"]
    assert everything["total"] == 4
    page = gallery(live, "?offset=1&limit=2")
    assert [each["id"] for each in page["pictures"]] == ids[1:3]
    assert page["total"] == 4
    assert page["pictures"][0]["prompt"] == "a cat"


def test_words_are_looked_for_in_the_prompts_alone(live: Live) -> None:
    draw(live, "a grey Cat, sitting", negative="a hat")
    draw(live, "a dog with 100%")
    draw(live, "ÉGLISE")
    for query, prompts in {
        "cat GREY": ["a grey Cat, sitting"],
        "hat": ["a grey Cat, sitting"],
        "100%25": ["a dog with 100%"],
        "%25": ["a dog with 100%"],
        "Sampler": [],
        "cat dog": [],
        "église": ["ÉGLISE"],
    }.items():
        found = gallery(live, f"?search={query}")
        assert [each["prompt"] for each in found["pictures"]] == prompts, query
    created = gallery(live)["pictures"][0]["created"]
    assert gallery(live, f"?since={created}")["total"] == 1
    assert gallery(live, f"?until={created}")["total"] == 2
    assert gallery(live, "?model=other")["total"] == 0


@pytest.mark.parametrize("size", [{"scale": 1.5}, {"resize": [0, 48]}])
def test_a_picture_shows_settings_that_draw_it_again(live: Live, size: dict[str, object]) -> None:
    asked = {
        "prompt": "a (red:1.2) apple",
        "negative": "blur, noise",
        "seed": 5,
        "steps": 3,
        "guidance": 4.5,
        "sampler": "dpmpp_2m",
        "schedule": "karras",
        "width": 32,
        "height": 24,
        "clip_skip": 2,
        "hires": {"strength": 0.6, "steps": 2, "sampler": "euler_a", **size},
        "rng": "cpu",
        "sampling": {"order": 3},
    }
    number = live.post("/api/v1/jobs", asked).json()["id"]
    live.wait_for(number, "done")
    shown = live.get(f"/api/v1/gallery/{number}-0").json()
    again = JobRequest.model_validate(shown["settings"]).settings()
    drawn = live.engine.drawn[-1]
    assert shown["settings"]["rng"] == "cpu"
    assert shown["settings"]["hires"]["upscaler"] == "latent"
    assert shown["settings"]["hires"]["sampler"] == "euler_a"
    for name in ("prompt", "negative", "seed", "steps", "guidance", "sampler", "schedule"):
        assert getattr(again, name) == getattr(drawn, name), name
    assert again.sampling == drawn.sampling
    assert again.hires is not None
    assert drawn.hires is not None
    wanted = (64, 48) if "resize" in size else (48, 32)
    assert again.hires.size(32, 24) == drawn.hires.size(32, 24) == wanted
    assert (again.hires.resize, again.hires.steps) == (drawn.hires.resize, drawn.hires.steps)
    assert again.clip_skip == 2


def test_a_file_is_read_as_far_as_it_goes(live: Live) -> None:
    """Settings that cannot be read, and a model that is not here, become notes."""
    text = (
        "a cat\nNegative prompt: a dog\nSteps: 20, Sampler: Nobody's sampler, CFG scale: 7, "
        "Seed: 3, Size: 64x64, Model: never seen, Denoising strength: 0.5"
    )
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=png_info(text))
    image = base64.b64encode(file.getvalue()).decode()
    for body in ({"image": image}, {"text": text}):
        read = live.post("/api/v1/gallery/read", body).json()
        assert read["settings"]["prompt"] == "a cat"
        assert read["settings"]["steps"] == 20
        assert "sampler" not in read["settings"]
        notes = " ".join(read["notes"])
        for word in ("Nobody's sampler", "never seen", "Denoising strength"):
            assert word in notes
    plain = io.BytesIO()
    Image.new("RGB", (8, 8)).save(plain, "PNG")
    bare = base64.b64encode(plain.getvalue()).decode()
    for wrong in ({"image": bare}, {"image": "no picture"}, {"text": "a cat"}, {}):
        assert live.post("/api/v1/gallery/read", wrong).status_code == 422


def test_thumbnails_are_small_and_kept_by_browsers(live: Live) -> None:
    number = draw(live, "a cat", width=640, height=320)
    answer = live.get(f"/api/v1/gallery/{number}-0/thumbnail?size=64")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.format == "WEBP"
        assert image.size == (64, 32)
    assert "immutable" in answer.headers["cache-control"]


def test_pictures_come_as_a_zip_file(live: Live) -> None:
    number = draw(live, "a cat", count=2)
    ids = [f"{number}-0", f"{number}-1"]
    answer = live.post("/api/v1/gallery/zip", {"pictures": ids})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        first = archive.read(names[0])
    assert len(names) == 2
    assert all("/" not in name for name in names)
    assert first == live.get(f"/api/v1/jobs/{number}/result").content
    assert live.post("/api/v1/gallery/zip", {"pictures": [f"{number}-7"]}).status_code == 404


def test_a_deleted_picture_is_gone_and_its_job_stays(live: Live, tmp_path: Path) -> None:
    number = draw(live, "a cat", count=2)
    assert live.delete(f"/api/v1/gallery/{number}-0").json() == {"deleted": 1}
    assert [each["id"] for each in gallery(live)["pictures"]] == [f"{number}-1"]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1
    assert [each["number"] for each in live.job(number)["pictures"]] == [1]
    assert live.delete(f"/api/v1/gallery/{number}-0").status_code == 404
    assert live.post("/api/v1/gallery/delete", {"pictures": [f"{number}-1"]}).status_code == 200
    assert gallery(live)["total"] == 0


def test_users_see_their_own_pictures_and_admins_all(tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    users.touch(0o600)
    tokens = {name: name * 24 for name in "abc"}
    users.write_text(
        "".join(
            f'[[users]]\nname = "{name}"\ntoken = "{token}"\nscopes = [{scopes}]\n'
            for (name, token), scopes in zip(
                tokens.items(), ['"generate"', '"generate"', '"generate", "admin"'], strict=True
            )
        )
    )
    with run_on_thread(tmp_path / "out", users=users) as live:

        def ask(name: str, method: str, path: str, **more: Any) -> requests.Response:
            headers = {"authorization": f"Bearer {tokens[name]}"}
            return requests.request(method, live.url + path, headers=headers, timeout=30, **more)

        job = ask("a", "POST", "/api/v1/jobs", json={"prompt": "mine"}).json()["id"]
        path = f"/api/v1/gallery/{job}-0"
        wait_until(lambda: ask("a", "GET", path).ok)
        assert [ask(name, "GET", path).status_code for name in "abc"] == [200, 404, 200]
        totals = [ask(name, "GET", "/api/v1/gallery").json()["total"] for name in "abc"]
        assert totals == [1, 0, 1]
        for method, where in (("DELETE", path), ("GET", f"{path}/thumbnail")):
            assert ask("b", method, where).status_code == 404
        chosen = {"pictures": [f"{job}-0"]}
        for where in ("zip", "delete"):
            answer = ask("b", "POST", f"/api/v1/gallery/{where}", json=chosen)
            assert answer.status_code == 404


def test_choices_name_what_jobs_take(live: Live) -> None:
    choices = live.get("/api/v1/choices").json()
    for field in ("sampler", "schedule", "rng", "emphasis", "vae_tiling"):
        assert choices[field]
        for each in choices[field]:
            JobRequest.model_validate({"prompt": "", field: each["name"]}).settings()
    for each in choices["upscaler"]:
        JobRequest.model_validate({"prompt": "", "hires": {"upscaler": each["name"]}}).settings()
    assert {each["name"] for each in choices["content"]} > {"original", "fill"}
    assert choices["limits"]["pixels"] == live.server.services.settings.work.pixels


@pytest.mark.parametrize(
    ("prompt", "tokens", "chunks"),
    [
        ("", 0, 1),
        ("a red apple", 3, 1),
        ("a (red:1.3) apple", 3, 1),
        ("a red apple<lora:x:1>", 3, 1),
        ("a [red:very green:0.5] apple", 4, 1),
        ("apple " * 76, 76, 2),
    ],
)
def test_tokens_are_counted_as_the_model_reads_them(
    live: Live, prompt: str, tokens: int, chunks: int
) -> None:
    answer = live.post("/api/v1/tokens", {"prompts": [prompt]})
    assert answer.json()["prompts"] == [{"tokens": tokens, "chunks": chunks, "capacity": 75}]


def test_waiting_jobs_change_places(live: Live) -> None:
    running = live.submit("hold")
    live.wait_for(running, "running")
    waiting = [live.submit(f"picture {i}") for i in range(3)]
    assert live.patch(f"/api/v1/jobs/{waiting[2]}", {"place": 0}).status_code == 200
    jobs = {each["id"]: each for each in live.get("/api/v1/jobs").json()["jobs"]}
    assert [jobs[number]["place"] for number in waiting] == [1, 2, 0]
    assert jobs[running]["place"] is None
    assert live.patch(f"/api/v1/jobs/{running}", {"place": 0}).status_code == 409
    live.engine.released.set()
    live.wait_for(waiting[1], "done")
    prompts = [settings.prompt for settings in live.engine.drawn]
    assert prompts == ["hold", "picture 2", "picture 0", "picture 1"]


def test_the_page_is_small_and_needs_nothing_from_elsewhere(live: Live) -> None:
    """Every file comes packed, with a tag; no file names another host."""
    names = [path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()]
    assert len(names) > 20
    sent = 0
    for path in ["/", *(f"/page/{name}" for name in names)]:
        with requests.get(live.url + path, stream=True, timeout=30) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-security-policy"].startswith("default-src 'self'")
            sent += len(answer.raw.read(decode_content=False))
        again = live.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
    assert sent < PAGE_BYTES
    for path in FOLDER.rglob("*"):
        if path.suffix in (".js", ".css", ".html"):
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
            assert "http:" not in text
            assert "https:" not in text
    assert live.get("/page/../app.py").status_code == 404
    assert live.get("/page/%2e%2e/app.py").status_code == 404
