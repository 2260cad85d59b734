"""Whatever the OpenAPI document allows, and what it does not, gets an answer that it names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from api.app import assemble
from duet.services.postgres import Postgres
from duet.services.valkey import Valkey
from store.database import Database
from store.settings import Settings
from tests.databases import copy_of
from tests.service.api.conftest import make_key, serving

ENDLESS = "/stream"
EXAMPLES = 12
# What a spec must be is more than a JSON schema can say: a 422 for a body that fits it is right.
# In an address everything is text, and an empty object nothing at all: only a body can be wrong
# for sure.
NOT_PROMISED = [positive_data_acceptance]
NOT_PROMISED_OF_ADDRESSES = [*NOT_PROMISED, negative_data_rejection]


@dataclass(frozen=True)
class Server:
    url: str
    headers: dict[str, str]


@pytest.fixture(scope="module")
def server(
    postgres_server: Postgres,
    template_database: str,
    valkey_server: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("schemathesis")
    with copy_of(postgres_server, template_database) as database_url:
        settings = Settings(
            database_url=database_url,
            redis_url=valkey_server.url,
            artifacts_url=(folder / "artifacts").as_uri(),
        )
        database = Database(database_url)
        key = make_key(database, "ours", "read", "submit", "admin")
        database.close()
        with serving(settings) as url:
            yield Server(url, {"Authorization": f"Bearer {key}"})


def _cases() -> Iterator[tuple[APIOperation, GenerationMode]]:
    written = assemble().openapi()
    for operations in written["paths"].values():
        for each in operations.values():
            each.pop("security", None)  # the key is ours to send
    document = schemathesis.openapi.from_dict(written)
    for found in document.get_all_operations():
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
    operation: APIOperation, mode: GenerationMode, server: Server
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
        case.call_and_validate(
            base_url=server.url,
            headers=server.headers,
            excluded_checks=NOT_PROMISED if operation.body else NOT_PROMISED_OF_ADDRESSES,
        )

    ask()
