"""Files and checkpoints named by id reach the trainer as paths."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from grpo.data.inspection import Inspection
from grpo.errors import RunError
from store import files
from store.ids import encode, new_id
from store.jobs.claim import Claim
from store.security.allowed_sources import AllowedSources
from tests.service.worker.conftest import Desk
from worker.attempt.inputs import Inputs, inputs_of


def upload(desk: Desk, name: str) -> UUID:
    file_id = new_id()
    with desk.context.database.session() as session:
        files.create(
            session,
            file_id=file_id,
            project_id=desk.project.id,
            key_id=desk.key.id,
            name=name,
            bytes=1,
            sha256="0" * 64,
            inspection=Inspection(1, {"question": None, "answer": None}),
        )
    return file_id


def inputs(desk: Desk, session: Session, claim: Claim) -> Inputs:
    return inputs_of(
        session,
        desk.context.artifacts,
        claim,
        sources=AllowedSources.of(desk.context.settings),
        into=desk.folder(claim),
    )


def test_the_files_of_a_list_become_paths_named_after_what_was_uploaded(desk: Desk):
    first, second = upload(desk, "Tales (v2).jsonl"), upload(desk, "arithmetic.parquet")
    listed = [
        {"source": "arithmetic", "weight": 3},
        {"source": encode("file", first), "prompt": "{{q}}"},
        {"source": encode("file", second)},
        {"source": encode("file", second), "name": "mine"},
        {"source": "openai/gsm8k", "config": "main"},
    ]
    desk.submit("step complete", data={"train": listed, "eval": None})
    claim = desk.claim()
    with desk.context.database.session() as session:
        found = inputs(desk, session, claim)
    data = found.spec["data"]
    assert found.needed == []
    path = desk.stored
    assert [(source["source"], source["name"]) for source in data["train"]] == [
        ("arithmetic", "arithmetic"),
        (str(path(files.artifact_key(first))), "tales-v2"),
        (str(path(files.artifact_key(second))), "arithmetic-2"),
        (str(path(files.artifact_key(second))), "mine"),
        ("openai/gsm8k", "gsm8k"),
    ]
    assert [source["weight"] for source in data["train"]] == [3, 1, 1, 1, 1]
    assert data["train"][1]["prompt"] == "{{q}}"
    assert data["eval"] is None


@pytest.mark.parametrize("field", ["train", "eval", "test"])
def test_every_set_of_the_data_is_found_where_it_lies(desk: Desk, field: str):
    file_id = upload(desk, "rows.jsonl")
    data = {"eval": "arithmetic-heldout", field: encode("file", file_id)}
    desk.submit("step complete", data=data)
    claim = desk.claim()
    with desk.context.database.session() as session:
        found = inputs(desk, session, claim)
    assert found.spec["data"][field] == str(desk.stored(files.artifact_key(file_id)))


def test_a_listed_file_that_is_gone_is_named(desk: Desk):
    file_id = upload(desk, "rows.jsonl")
    desk.submit("step complete", data={"eval": [{"source": encode("file", file_id)}]})
    claim = desk.claim()
    with desk.context.database.session() as session:
        session.delete(files.get(session, desk.project.id, file_id))
        session.flush()
        with pytest.raises(RunError, match=encode("file", file_id)) as caught:
            inputs(desk, session, claim)
    assert caught.value.code == "input_missing"


def refused(desk: Desk, **spec: Any) -> RunError:
    desk.submit("step complete", **spec)
    claim = desk.claim()
    with desk.context.database.session() as session, pytest.raises(RunError) as caught:
        inputs(desk, session, claim)
    return caught.value


def test_a_folder_that_came_to_lead_out_is_not_opened(desk: Desk, tmp_path: Path):
    """Sources that were allowed at submission."""
    (tmp_path / "model").symlink_to("/etc")
    error = refused(desk, model={"source": str(tmp_path / "model")})
    assert error.code == "source_not_allowed"
    assert "DUET_LOCAL_ROOTS" in error.message


def test_a_name_that_is_a_folder_where_the_worker_runs_is_not_opened(desk: Desk):
    """The trainer would read tests/service as a folder instead of a hub id."""
    assert Path("tests/service").is_dir()
    folder = "tests/service"
    beside = {"eval": "arithmetic-heldout", "test": folder}
    for spec in ({"model": {"source": folder}}, {"data": {"train": folder}}, {"data": beside}):
        assert refused(desk, **spec).code == "source_not_allowed"


def test_a_source_that_this_worker_may_not_read_fails_the_job_with_the_reason(
    desk: Desk, tmp_path: Path
):
    desk.submit("step complete", model={"source": "/models/elsewhere"})
    job = desk.run()
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error["code"] == "source_not_allowed"
    desk.submit("step complete", model={"source": str(tmp_path / "mine")})
    assert desk.run().status == "succeeded"
