"""Every request, allowed by the OpenAPI document or not, gets a documented answer."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.contract.conftest import Target
from tests.contract.document import document

ENDLESS = "/stream"
EXAMPLES = 12
# What a spec must be is more than a JSON schema can say: a 422 for a body that fits it is right.
# In an address everything is text, and an empty object nothing at all: only a body can be wrong
# for sure.
NOT_PROMISED = [positive_data_acceptance]
NOT_PROMISED_OF_ADDRESSES = [*NOT_PROMISED, negative_data_rejection]


def _cases() -> Iterator[tuple[APIOperation, GenerationMode]]:
    for found in document().get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if not operation.path.endswith(ENDLESS):
            yield operation, GenerationMode.POSITIVE
            if operation.body or list(operation.query):
                yield operation, GenerationMode.NEGATIVE


@pytest.mark.parametrize(
    ("operation", "mode"), list(_cases()), ids=lambda of: getattr(of, "label", None)
)
def test_every_answer_is_one_that_the_document_names(
    operation: APIOperation, mode: GenerationMode, target: Target
):
    @examples(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        headers = {"Authorization": target.authorization}
        answer = case.call(base_url=str(target.url), headers=headers)
        excluded = NOT_PROMISED if operation.body else NOT_PROMISED_OF_ADDRESSES
        if answer.status_code == 413:  # refused as well: by its size
            excluded = NOT_PROMISED_OF_ADDRESSES
        case.validate_response(answer, excluded_checks=excluded, headers=headers)

    ask()
