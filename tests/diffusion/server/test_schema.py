"""Requests that schemathesis makes of the OpenAPI schema: none is answered with a mistake of ours.

``python -m tools.fuzz_server`` makes many more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error, positive_data_acceptance
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.diffusion.server.live_server import Live, run_on_thread

WORK = {"pixels": 128 * 128, "count": 3, "work": 3 * 40 * 128 * 128}
"""Limits of a job, so that drawing takes no time."""

EXAMPLES = 6
ANSWERED = {501, 503}
"""Statuses from 500 on that are no mistake: a missing feature, and no device."""

LENIENT = ("/sdapi/", "/internal/")
"""Paths whose clients send numbers as text, and 0 for false."""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with run_on_thread(tmp_path_factory.mktemp("out"), work=WORK) as live:
        yield live


def check_operation(operation: Any, mode: GenerationMode) -> None:
    """Send requests to an operation; raise where an answer is not as the schema says."""

    @seed(7)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = case.call()
        # A schema says nothing about the names of samplers, or sides that are multiples of 8.
        excluded = [positive_data_acceptance]
        if operation.path.startswith(LENIENT):
            excluded.append(negative_data_rejection)
        if answer.status_code in ANSWERED:
            excluded.append(not_a_server_error)
        case.validate_response(answer, excluded_checks=excluded)

    check()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_operation_answers_as_the_schema_says(fuzzed: Live, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")
    wrong = []
    checked = 0
    for found in schema.exclude(tag="not built yet").get_all_operations():
        operation = found.ok()
        try:
            check_operation(operation, mode)
            checked += 1
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, "an operation without fields cannot be wrong"
        except FailureGroup as error:
            wrong.append(f"{operation.method} {operation.path}: {error}")
    assert not wrong, "\n\n".join(wrong)
    assert checked > (15 if mode is GenerationMode.NEGATIVE else 50)


def test_a_wrong_method_is_answered_with_the_right_ones(fuzzed: Live) -> None:
    answer = requests.put(f"{fuzzed.url}/api/v1/jobs", timeout=30)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    for name, others in (("zip", "POST"), ("read", "POST"), ("delete", "POST")):
        for method in ("GET", "DELETE", "OPTIONS"):
            path = f"{fuzzed.url}/api/v1/gallery/{name}"
            answer = requests.request(method, path, timeout=30)
            assert (answer.status_code, answer.headers["allow"]) == (405, others)
    for method in ("TRACE", "QUERY"):
        path, foreign = f"{fuzzed.url}/api/v1/session", {"origin": ""}
        answer = requests.request(method, path, headers=foreign, timeout=30)
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, POST")
    assert set(answer.json()) == {"error", "detail", "body", "errors"}
    assert set(fuzzed.get("/no/such/route").json()) == {"error", "detail", "body", "errors"}
