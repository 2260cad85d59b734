"""The checked-in OpenAPI document is the one that is served, and it is sound."""

from openapi_spec_validator import validate

from api.app import assemble
from api.docs.openapi import FILE, as_text
from tests.openapi_document import openapi_document


def test_the_document_in_docs_is_the_one_that_is_served():
    assert FILE.read_text() == as_text(assemble()), "run `python -m api openapi` and commit it"


def test_the_document_is_valid_openapi():
    validate(openapi_document())


def test_every_api_route_documents_its_problems():
    for path, operations in openapi_document()["paths"].items():
        if path.startswith("/v1"):
            for method, operation in operations.items():
                answers = operation["responses"]
                assert {"401", "403", "503"} <= answers.keys(), f"{method} {path}"
                assert "application/problem+json" in answers["422"]["content"], f"{method} {path}"


def test_every_openai_route_documents_its_errors():
    paths = openapi_document()["paths"]
    operations = [
        operation
        for path, by_method in paths.items()
        if path.startswith("/openai/")
        for operation in by_method.values()
    ]
    assert len(operations) > 10
    for operation in operations:
        answers = operation["responses"]
        assert {"400", "401", "403", "503"} <= answers.keys(), operation["operationId"]
        assert "422" not in answers, operation["operationId"]


def test_every_operation_has_its_own_name():
    names = [
        operation["operationId"]
        for operations in openapi_document()["paths"].values()
        for operation in operations.values()
    ]
    assert len(names) == len(set(names))
    assert "submit_job" in names


def test_every_download_documents_ranges_and_etags():
    paths = openapi_document()["paths"]
    downloads = [
        "/v1/files/{file}/content",
        "/v1/checkpoints/{checkpoint}/files/{path}",
        "/openai/v1/files/{file}/content",
    ]
    for path in downloads:
        answers = paths[path]["get"]["responses"]
        assert {"200", "206", "304", "307", "400", "404", "416"} <= answers.keys(), path
        assert "application/octet-stream" in answers["206"]["content"]


def test_created_objects_link_to_their_operations():
    paths = openapi_document()["paths"]
    links = paths["/v1/jobs"]["post"]["responses"]["201"]["links"]
    assert {"read_job", "cancel_job", "delete_job", "stream_records", "fork_job"} <= links.keys()
    assert links["cancel_job"] == {
        "operationId": "cancel_job",
        "parameters": {"job": "$response.body#/id"},
    }
    theirs = paths["/openai/v1/fine_tuning/jobs"]["post"]["responses"]["200"]["links"]
    assert "pause_fine_tuning_job" in theirs
    assert not theirs.keys() & links.keys()
