"""A spec with a source that this server does not allow is refused before it is queued."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.settings import Settings
from tests.service.api.conftest import client, serving
from tests.service.api.test_submission import refused


@pytest.fixture
def strict(settings: Settings, key: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """A server that allows models of one folder and of one organization."""
    (tmp_path / "models").mkdir()
    changed = {"local_roots": str(tmp_path / "models"), "hub_organisations": "Qwen"}
    with serving(settings.model_copy(update=changed)) as url, client(url, key) as opened:
        yield opened


def test_an_allowed_source_is_queued(strict: httpx.Client, tmp_path: Path):
    for source in ("Qwen/Qwen3-0.6B", f"{tmp_path}/models/mine", "tiny-arithmetic"):
        assert strict.post("/v1/jobs", json={"model": {"source": source}}).status_code == 201


def test_a_folder_outside_the_roots_gets_the_same_refusal_whether_it_exists_or_not(
    strict: httpx.Client, tmp_path: Path
):
    (tmp_path / "models" / "link").symlink_to("/etc")
    said = {
        refused(strict, {"model": {"source": source}})["/model/source"].replace(repr(source), "it")
        for source in (
            "/etc",
            "/not-there",
            f"{tmp_path}/models/../artifacts",
            f"{tmp_path}/models/link",
        )
    }
    assert said == {"it is outside the folders allowed for models (DUET_LOCAL_ROOTS)"}


@pytest.mark.parametrize(
    ("spec", "pointer", "said"),
    [
        ({"model": {"source": "evil/model"}}, "/model/source", "hub organization 'evil'"),
        ({"model": {"source": "../etc/model"}}, "/model/source", "not a valid hub id"),
        ({"model": {"source": "Qwen/../../etc"}}, "/model/source", "not a valid hub id"),
        (
            {"model": {"source": "Qwen/a", "revision": "../../x"}},
            "/model/revision",
            "branch or tag",
        ),
        ({"data": {"train": "openai/gsm8k"}}, "/data/train", "hub organization 'openai'"),
        ({"data": {"eval": [{"source": "openai/gsm8k"}]}}, "/data/eval/0/source", "'openai'"),
    ],
)
def test_a_refused_source_is_named_by_pointer(
    strict: httpx.Client, spec: dict[str, Any], pointer: str, said: str
):
    problems = refused(strict, spec)
    assert list(problems) == [pointer]
    assert said in problems[pointer]


def test_every_route_that_creates_jobs_checks_sources(strict: httpx.Client):
    wrong = {"model": {"source": "evil/model"}}
    hidden = {"base": {}, "grid": {"model.source": ["tiny-arithmetic", "evil/model"]}}
    for path, body in (
        ("/v1/jobs?validate_only=true", wrong),
        ("/v1/estimates", {"spec": wrong}),
        ("/v1/sweeps", hidden),
    ):
        answer = strict.post(path, json=body)
        assert answer.status_code == 422, path
        assert "hub organization 'evil'" in answer.json()["detail"]


def test_with_several_projects_a_hub_data_set_needs_the_operators_permission(
    http: httpx.Client, their_http: httpx.Client
):
    """Every route that checks a spec."""
    spec = {"data": {"train": [{"source": "openai/gsm8k"}]}}
    said = refused(http, spec)
    assert list(said) == ["/data/train/0/source"]
    assert "DUET_ALLOWED_DATASETS" in said["/data/train/0/source"]
    for path, body in (
        ("/v1/jobs?validate_only=true", spec),
        ("/v1/estimates", {"spec": spec}),
        ("/v1/sweeps", {"base": spec, "grid": {"seed": [1, 2]}}),
        ("/v1/datasets/preview", spec["data"]),
    ):
        answer = their_http.post(path, json=body)
        assert answer.status_code == 422, path
        assert "DUET_ALLOWED_DATASETS" in answer.text
