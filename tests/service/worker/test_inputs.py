"""What a spec names by id reaches the trainer as paths."""

from uuid import UUID

import pytest

from grpo.errors import RunError
from store import files
from store.ids import encode, new_id
from tests.service.worker.conftest import Desk
from worker.inputs import inputs_of


def upload(desk: Desk, name: str) -> UUID:
    file_id = new_id()
    with desk.post.database.session() as session:
        files.create(
            session,
            file_id=file_id,
            project_id=desk.project.id,
            key_id=desk.key.id,
            name=name,
            bytes=1,
            sha256="0" * 64,
            num_rows=1,
            fields={"question": None, "answer": None},
        )
    return file_id


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
    with desk.post.database.session() as session:
        inputs = inputs_of(session, desk.post.artifacts, claim, into=desk.folder(claim))
    data = inputs.spec["data"]
    assert inputs.needed == []
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


def test_a_listed_file_that_is_gone_is_named(desk: Desk):
    file_id = upload(desk, "rows.jsonl")
    desk.submit("step complete", data={"eval": [{"source": encode("file", file_id)}]})
    claim = desk.claim()
    with desk.post.database.session() as session:
        session.delete(files.get(session, desk.project.id, file_id))
        session.flush()
        with pytest.raises(RunError, match=encode("file", file_id)) as caught:
            inputs_of(session, desk.post.artifacts, claim, into=desk.folder(claim))
    assert caught.value.code == "input_missing"
