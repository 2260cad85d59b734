"""Bounds are checked before a value is converted: numbers, times, names, disks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.database.database import Database
from store.settings import Settings
from tests.contract.document import document
from tests.service.api.conftest import client, make_key, serving
from tests.small_disk import small_disk

FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"budget": {"epochs": 1e308}}, "/budget/epochs"),
    ({"budget": {"epochs": 1e6}, "algorithm": {"prompts_per_step": 1}}, "/budget/epochs"),
    ({"budget": {"max_steps": 2**31}}, "/budget/max_steps"),
    ({"budget": {"max_rollouts": 2**63}}, "/budget/max_rollouts"),
    ({"optimizer": {"warmup_steps": 10**18}}, "/optimizer/warmup_steps"),
    ({"resources": {"not_before": "0001-01-01T00:00:00+14:00"}}, "/resources/not_before"),
    ({"resources": {"not_before": "9999-12-31T23:59:59-14:00"}}, "/resources/not_before"),
    ({"resources": {"not_before": 253402300800}}, "/resources/not_before"),
    ({"model": {"source": "/" + "x" * 300}}, "/model/source"),
    ({"model": {"source": "/usr/" + "x" * 300 + "/b"}}, "/model/source"),
    ({"data": {"prompt": "x" * 100_001}}, "/data/prompt"),
    ({"data": {"system": "x" * 100_001}}, "/data/system"),
    ({"data": {"train": "x" * 1001}}, "/data/train"),
    ({"model": {"lora": {"targets": ["x"] * 1001}}}, "/model/lora/targets"),
    ({"rewards": [{"type": "exact", "weight": 1e308}]}, "/rewards/0/weight"),
    ({"preset": "x" * 101}, "/preset"),
]


@pytest.fixture
def admin(settings: Settings, database: Database) -> Iterator[httpx.Client]:
    roots = settings.model_copy(update={"local_roots": "/"})
    key = make_key(database, "ours", "read", "submit", "admin")
    with serving(roots) as url, client(url, key) as opened:
        yield opened


def test_a_field_out_of_bounds_is_pointed_at(admin: httpx.Client):
    for spec, pointer in FIELDS:
        answer = admin.post("/v1/jobs", json=spec)
        assert answer.status_code == 422, (spec, answer.text[:300])
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_parameter_that_cannot_be_kept_is_named_on_every_route(admin: httpx.Client):
    job = admin.post("/v1/jobs", json={}).json()["id"]
    for name in ("metrics", "metrics.csv", "metrics.jsonl"):
        for names in ("a%00b", ",".join(str(number) for number in range(201)), "x" * 30_000):
            answer = admin.get(f"/v1/jobs/{job}/{name}?names={names}")
            assert answer.status_code == 422, answer.text[:300]
            assert answer.json()["errors"][0]["parameter"] == "names"
    for query in ("metadata[a%00b]=c", "metadata[a]=b%00", "metadata=%00"):
        answer = admin.get(f"/openai/v1/fine_tuning/jobs?{query}")
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"].startswith("metadata")
    many = "&".join(f"status={number}" for number in range(101))
    assert admin.get(f"/v1/jobs?{many}").status_code == 422
    assert admin.get(f"/v1/jobs?{'x' * 1000}=1").status_code == 422


def test_an_overlong_number_in_a_header_is_not_a_server_error(admin: httpx.Client):
    headers = {"x-stainless-retry-count": "9" * 5000}
    assert admin.post("/openai/v1/fine_tuning/jobs", json={}, headers=headers).status_code == 400


@pytest.mark.parametrize("path", ["/v1/files", "/openai/v1/files"])
def test_an_upload_without_space_is_refused_and_leaves_nothing(
    settings: Settings, database: Database, tmp_path: Path, path: str
):
    key = make_key(database, "ours", "read", "submit")
    row = b'{"prompt": "1+1=", "answer": "2"}\n'
    with (
        small_disk(tmp_path / "artifacts", 128 * 1024) as disk,
        serving(settings) as url,
        client(url, key) as http,
    ):
        form = {"data": {"purpose": "fine-tune"}, "files": {"file": ("a.jsonl", row * 20_000)}}
        answer = http.post(path, **form)
        assert answer.status_code == 507, answer.text
        told = answer.json()
        assert (told["code"] if "code" in told else told["error"]["code"]) == "store_full"
        place = told["errors"][0]["pointer"] if "errors" in told else told["error"]["param"]
        assert place.strip("/") == "file"
        assert http.get("/v1/files").json()["data"] == []
        assert not any(entry.is_file() for entry in disk.folder.rglob("*"))
        small = {**form, "files": {"file": ("a.jsonl", row)}}
        assert http.post(path, **small).status_code in (200, 201)


def test_every_upload_route_documents_the_error_for_a_full_store():
    paths = document().raw_schema["paths"]
    assert all(
        "507" in paths[path]["post"]["responses"] for path in ("/v1/files", "/openai/v1/files")
    )
