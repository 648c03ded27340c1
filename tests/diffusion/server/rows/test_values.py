"""Values of requests: numbers of every kind, and names that are no names (R1, R2, R3, R4, R5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import requests
from pydantic import BaseModel

from diffusion.server.jobs.request import JobRequest
from diffusion.server.routes.sdapi.option_values import OptionValues
from diffusion.server.routes.sdapi.requests import Img2ImgBody, Txt2ImgBody
from tests.diffusion.server.live_server import Live, run_on_thread, wait_until
from tests.diffusion.server.test_schema import WORK

VALUES = (
    *("-1", "0", "7", "1001", "100000", "1000000", str(2**31), str(2**63), str(2**64), "1e308"),
    *("1e400", "NaN", "Infinity", "-0.0", "0.1", '"20"', '"\\u0000"', "true", "null"),
    *("[]", "[1]", "{}", '{"a": 1}'),
)
"""Values as they stand in JSON."""

OPTIONS = (
    *("sd_model_checkpoint", "CLIP_stop_at_last_layers", "randn_source", "samples_format"),
    *("sigma_min", "sigma_max", "rho", "uni_pc_order", "eta_noise_seed_delta", "sd_vae"),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return a server whose jobs are small, so that those that are right take no time."""
    with run_on_thread(tmp_path_factory.mktemp("out"), work=WORK, queue=100_000) as live:
        wait_until(lambda: live.server.services.models.default.sha256)  # it is in the title
        yield live


def fields_of(model: type[BaseModel], *before: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of every field, those of parts too."""
    for name, field in model.model_fields.items():
        yield *before, name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from fields_of(part, *before, name)


def post(live: Live, path: str, body: dict[str, Any], place: tuple[str, ...], value: str) -> Any:
    """Send a body with a value, as JSON text, at a place."""
    whole: dict[str, Any] = json.loads(json.dumps(body))
    part = whole
    for name in place[:-1]:
        part = part.setdefault(name, {})
    part[place[-1]] = "@@"
    data = json.dumps(whole).replace('"@@"', value)
    headers = {"content-type": "application/json"}
    return requests.post(live.url + path, data=data, headers=headers, timeout=60)


CASES = [
    ("/api/v1/jobs", JobRequest, {"prompt": "x", "width": 64, "height": 64, "steps": 1}),
    ("/sdapi/v1/txt2img", Txt2ImgBody, {"width": 64, "height": 64, "steps": 1}),
    ("/sdapi/v1/img2img", Img2ImgBody, {"width": 64, "height": 64, "steps": 1}),
]


@pytest.mark.sampled
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("path", "model", "body"), CASES)
def test_every_field_takes_or_refuses_every_value(
    small: Live, path: str, model: type[BaseModel], body: dict[str, Any], value: str
) -> None:
    """R5: 422 names the field, 501 a missing feature; nothing is a mistake of ours."""
    allowed = {200, 202, 404, 409, 422, 501}
    fields = list(fields_of(model))
    assert len(fields) > 40
    wrong = {}
    for place in fields:
        answer = post(small, path, body, place, value)
        if answer.status_code not in allowed:
            wrong[place] = answer.status_code, answer.text[:200]
        if answer.status_code == 422 and path == "/api/v1/jobs":
            assert isinstance(answer.json()["detail"], str | list)
    assert wrong == {}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_takes_or_refuses_every_value(small: Live, name: str) -> None:
    """R5: also those that no dictionary takes as a key."""
    before = small.get("/sdapi/v1/options").json()
    statuses = {
        value: post(small, "/sdapi/v1/options", {}, (name,), value).status_code for value in VALUES
    }
    assert set(statuses.values()) <= {200, 422, 501}, statuses
    assert small.post("/sdapi/v1/options", {name: before[name]}).ok
    assert small.get("/sdapi/v1/options").json() == before


def test_limits_of_work_are_checked_before_a_job_waits(small: Live) -> None:
    """R5: pixels, count, and the product of both with the steps."""
    for fields in (
        {"width": 256, "height": 256},
        {"count": 4},
        {"width": 128, "height": 128, "steps": 100, "count": 2},
        {"width": 64, "height": 64, "hires": {"scale": 4.0}},
        {"width": 64, "height": 64, "batch": 1000},
    ):
        answer = small.post("/api/v1/jobs", {"prompt": "x", **fields})
        assert answer.status_code == 422, (fields, answer.text)


PROMPTS = (
    *("((a][:b:c [d:3]", "\\(", "(a:1.2.3)", "(a:...)", "[a:b:0]", "[a:b:-1]", "[a:b:1e9]"),
    *("[|]", "[a|]", "AND", "AND AND", "BREAK BREAK", "<lora:x:nan>", "<lora:../../x:1>"),
    *("(a:1e400)", "(a:-inf)", "(" * 931, "(" * 931 + "a" + ")" * 931, "a" * 10_000),
    *("\u200d\U0001f468\u200d\U0001f469", "\u202eabc", "a\u0300" * 5000, "\uff08a\uff09", "\0"),
)


@pytest.mark.filterwarnings("ignore:.*beyond.*are cut")
def test_odd_prompts_are_counted_and_taken_or_refused(small: Live) -> None:
    """R1, R2, R4 over HTTP; what they mean is tested beside the parser."""
    for prompt in PROMPTS:
        body = {"prompt": prompt, "steps": 1, "width": 64, "height": 64}
        statuses = [
            small.post("/api/v1/jobs", body).status_code,
            small.post("/api/v1/tokens", {"prompts": [prompt]}).status_code,
        ]
        assert set(statuses) <= {200, 202, 422}, (prompt[:40], statuses)


@pytest.mark.parametrize("text", ["a, " * 400_000, "[a|b]" * 20_000, "(" * 70_000])
def test_vast_prompts_are_refused(small: Live, text: str) -> None:
    """R3: before they are parsed; where they are drawn, the parser has its own limits."""
    assert small.post("/api/v1/tokens", {"prompts": [text]}).status_code == 422
    answer = small.post(
        "/sdapi/v1/txt2img", {"prompt": text, "steps": 1, "width": 64, "height": 64}
    )
    assert answer.status_code == 422
    assert len(answer.text) < 2000


def test_options_of_another_version_do_no_harm(live: Live) -> None:
    """A name that this version does not know would make every request fail."""
    history = live.server.services.history
    live.call(lambda: None)
    history._thread.submit(
        history.set_options, "local", {"clip_skip": 2, "gone": 1, "model": "gone"}
    ).result()
    shown = live.get("/sdapi/v1/options").json()
    assert shown["CLIP_stop_at_last_layers"] == 2
    assert {"clip_skip", "model"} < set(OptionValues.__dataclass_fields__)
