"""Created objects are read, changed, steered and deleted, in many orders: every answer is one
that the document names, what is deleted is gone, and what is made is there."""

from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import settings as examples

from api.docs.links import MADE
from tests.contract.conftest import Target
from tests.contract.document import document
from tests.openapi_document import openapi_document
from tests.service.api.conftest import make_key

ENDLESS = {"stream_records"}
NOT_PROMISED = ["positive_data_acceptance", "negative_data_rejection"]  # as in test_schemathesis.py
FILE = b'{"prompt": "1+1=", "answer": "2"}\n'
LATER = {"not_before": "2999-01-01T00:00:00Z"}
GRADER = {
    "type": "string_check",
    "name": "right",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
    "operation": "eq",
}
# Of what makes something, bodies that can be: of those that the schema allows hardly any would.
BODIES: dict[str, Any] = {
    "upload_file": {"file": FILE},
    "submit_job": {"preset": "demo", "resources": LATER},
    "submit_sweep": {"base": {"preset": "demo"}, "variants": [{"seed": 1}, {"seed": 2}]},
    "create_webhook": {"url": "https://93.184.216.34/duet", "events": ["job.succeeded"]},
    "create_key": {"name": "made", "scopes": ["read"]},
    "create_openai_file": {"file": FILE, "purpose": "fine-tune"},
    "create_fine_tuning_job": {
        "model": "tiny-arithmetic",
        "training_file": "arithmetic",
        "method": {"type": "reinforcement", "reinforcement": {"grader": GRADER}},
        "duet": {"preset": "demo", "resources": LATER},
    },
}
BOUNDED = examples(
    max_examples=8,
    stateful_step_count=8,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def linked() -> dict[str, list[str]]:
    """Operations on each kind of object, by the operation that creates it."""
    found = {}
    for operations in openapi_document()["paths"].values():
        for operation in operations.values():
            if (name := operation["operationId"]) in BODIES:
                links = operation["responses"][MADE[name][0]]["links"].keys()
                found[name] = sorted({name, *links} - ENDLESS)
    return found


def name_of(case: schemathesis.Case) -> str:
    return case.operation.definition.raw["operationId"]


@pytest.mark.parametrize(("maker", "operations"), linked().items(), ids=linked())
def test_any_sequence_of_requests_is_answered_as_documented(
    target: Target, maker: str, operations: list[str]
):
    succeeded: set[str] = set()
    numbers = count(1)
    schema = document().include(operation_id=operations)
    schema.config.checks.update(excluded_check_names=NOT_PROMISED)

    class Scenario(schema.as_state_machine()):
        def setup(self) -> None:
            """Start each scenario in a new project."""
            name = f"{maker} {next(numbers)}"
            self.key = make_key(target.database, name, "read", "submit", "admin", "server")

        def before_call(self, case: schemathesis.Case) -> None:
            case.body = BODIES.get(name_of(case), case.body)

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:  # noqa: ARG002
            return {"base_url": str(target.url), "headers": {"Authorization": f"Bearer {self.key}"}}

        def after_call(self, response: schemathesis.Response, case: schemathesis.Case) -> None:
            super().after_call(response, case)
            if response.status_code < 300:
                succeeded.add(name_of(case))

    Scenario.run(settings=BOUNDED)
    assert maker in succeeded
    assert len(succeeded) > 1, "nothing could be done with what was made"
