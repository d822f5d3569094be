"""The service against its own OpenAPI description, by schemathesis: it does what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from lab.site.openapi import description
from tests.contract.site_process import LIMIT, Service

CALLS = [
    (method, path)
    for path, calls in description("LAB")["paths"].items()
    for method in calls
]  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("site"))
    yield service
    wrong = service.said_wrong()
    service.close()
    assert "Traceback" not in wrong, wrong


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_it_does_what_it_says(service: Service, method: str, path: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{service.port}/openapi.json")
    operation = schema[path][method]
    wrongs = (list(operation.iter_parameters()) or operation.body) and not path.startswith("/share/")
    if mode is GenerationMode.NEGATIVE and not wrongs:
        return  # nothing could be wrong: a share has any name, and any bytes

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=15, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(timeout=LIMIT)

    holds()
