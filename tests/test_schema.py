"""The service against its own OpenAPI description: requests made up from it get no 500 and nothing undocumented."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from requests import Request
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.services import Fixture, serving

AS_DESCRIBED = [status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 15  # of each operation, some as its description asks, some not
OPERATIONS = 12  # at least


def check(operation: APIOperation, service: Fixture) -> None:
    """Send requests to an operation and look at the answers."""
    cases = operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), print_blob=False)
    @given(case=cases)
    def as_described(case: schemathesis.Case) -> None:
        wanted = case.as_transport_kwargs(base_url="http://testserver")
        wanted.pop("timeout", None)
        sent = Request(**wanted).prepare()
        response = service.client.request(sent.method, sent.url, content=sent.body, headers=dict(sent.headers))
        assert response.status_code != 500, response.text
        case.validate_response(response, checks=AS_DESCRIBED)

    as_described()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what Pillow warns of and reads all the same
def test_every_operation_answers_as_it_is_described(tmp_path: Path) -> None:
    """Made-up requests, right ones and wrong ones, get documented statuses, with bodies of the documented shape."""
    with serving(tmp_path, alias_poll_seconds=3600) as service:
        schema = schemathesis.openapi.from_dict(service.client.app.openapi())
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) >= OPERATIONS
        for operation in operations:
            check(operation, service)
