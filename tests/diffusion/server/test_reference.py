"""``/docs``: the page that describes all routes, and its examples."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from diffusion.server.routes.reference.examples import curl_of, example_of
from diffusion.server.routes.reference.writing import write_page
from tests.diffusion.server.live_server import Live, run_on_thread


def operations(live: Live) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Yield method, path, description and all schemas of each operation."""
    document = live.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation, document["components"]["schemas"]


def test_every_operation_has_its_place_and_an_example(live: Live) -> None:
    answer = live.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = unescape(answer.text)
    found = list(operations(live))
    assert len(found) > 100
    assert answer.text.count("<details>") == len(found)
    for method, path, operation, schemas in found:
        assert f'<span class="method">{method}</span> <code>{path}</code>' in text
        command = curl_of(method, path, operation, schemas)
        assert command in text
        assert "{" not in shlex.split(command)[-1], "each part of the address has an example"


def test_the_page_needs_no_script_and_no_other_host(live: Live) -> None:
    text = live.get("/docs").text
    assert "<script" not in text
    assert "With the same <code>Idempotency-Key</code> the same request" in text
    assert "`" not in text
    assert set(re.findall(r'(?:href|src)="([^#"]+)"', text)) == {
        "/",
        "/openapi.json",
        "/page/icon.svg",
        "/page/style/colours.css",
        "/page/style/reference.css",
    }
    for path in ("/page/icon.svg", "/page/style/colours.css", "/page/style/reference.css"):
        assert live.get(path).ok


def test_examples_are_taken(live: Live) -> None:
    """Those without a picture, and not about a job that is not there, do what they show."""
    sent, wrong = 0, list[str]()
    for method, path, operation, schemas in operations(live):
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content or "not built yet" in operation["tags"]:
            continue
        body = example_of(f"{method} {path}", content["application/json"]["schema"], schemas)
        text = json.dumps(body, ensure_ascii=False)
        if "…" in text or "019ab" in text or "{" in path or "download" in path:
            continue
        call = {"POST": live.post, "PUT": live.put, "PATCH": live.patch}[method]
        answer = call(path, body)
        if not answer.ok:
            wrong.append(f"{method} {path} {text}: {answer.text[:300]}")
        sent += 1
    assert wrong == []
    assert sent >= 10


def test_texts_of_the_schema_are_data() -> None:
    evil = "<script>alert(1)</script>"
    operation = {
        "tags": [evil],
        "description": evil,
        "parameters": [{"name": evil, "in": "query", "schema": {"description": evil}}],
        "responses": {"200": {"description": evil}},
    }
    document = {"info": {"title": evil, "version": evil}, "paths": {f"/{evil}": {"get": operation}}}
    assert "<script" not in write_page(document)


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("b" * 24, 200)])
def test_it_is_behind_the_credential(tmp_path: Path, token: str | None, status: int) -> None:
    users = tmp_path / "users.toml"
    users.touch(0o600)
    users.write_text(f'[[users]]\nname = "bo"\ntoken = "{"b" * 24}"\n')
    with run_on_thread(tmp_path / "out", users=users) as live:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        assert live.get("/docs", headers=headers).status_code == status
