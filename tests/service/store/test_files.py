"""Uploaded files, and the checkpoints of a project."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from grpo.data.inspection import Inspection
from store import files
from store.errors import Conflict, NotFound
from store.ids import encode, new_id
from store.jobs import checkpoints
from tests.service.store.desk import Desk, make_desk
from tests.waiting import deadline


def upload(desk: Desk, name: str = "rows.jsonl") -> UUID:
    with desk.database.session() as session:
        file = files.create(
            session,
            file_id=new_id(),
            project_id=desk.project_id,
            key_id=desk.key_id,
            name=name,
            bytes=20,
            sha256="ab" * 32,
            inspection=Inspection(2, {"question": None}),
        )
        return file.id


def delete(desk: Desk, file_id: UUID) -> None:
    with desk.database.session() as session:
        files.delete(session, desk.project_id, file_id)


def listed(desk: Desk, **paging: object) -> list[UUID]:
    with desk.database.session() as session:
        found = files.list_files(session, desk.project_id, **{"limit": 10, **paging})
        return [file.id for file in found]


def test_files_are_listed_newest_first_and_only_in_their_project(desk: Desk):
    first, second, third = (upload(desk) for _ in range(3))
    other = make_desk(desk.database, "other")
    assert listed(desk) == [third, second, first]
    assert listed(desk, limit=1, after=third) == [second]
    assert listed(other) == []
    with desk.database.session() as session:
        assert files.get(session, desk.project_id, first).fields == {"question": None}
        with pytest.raises(NotFound, match="there is no file file_"):
            files.get(session, other.project_id, first)


@pytest.mark.parametrize("in_list", [False, True], ids=["alone", "in a list"])
@pytest.mark.parametrize("use", ["train", "eval", "test"])
def test_a_file_in_use_stays_until_its_job_has_ended(desk: Desk, use: str, in_list: bool):
    file_id, unused = upload(desk), upload(desk)
    name = encode("file", file_id)
    several = [{"source": "arithmetic"}, {"source": name, "weight": 2}]
    job_id = desk.submit(data={"eval": "arithmetic", use: several if in_list else name})
    delete(desk, unused)
    with pytest.raises(Conflict, match="is used by job job_"):
        delete(desk, file_id)
    desk.cancel(job_id)
    delete(desk, file_id)
    assert listed(desk) == []
    with pytest.raises(NotFound):
        delete(desk, file_id)


def test_a_job_is_not_queued_for_a_file_that_is_gone(desk: Desk):
    file_id = upload(desk)
    delete(desk, file_id)
    with pytest.raises(NotFound, match="there is no file file_"):
        desk.submit(data={"train": encode("file", file_id)})
    theirs = upload(make_desk(desk.database, "other"))
    with pytest.raises(NotFound):
        desk.submit(data={"train": encode("file", theirs)})
    with pytest.raises(NotFound):
        desk.submit(data={"eval": [{"source": "arithmetic"}, {"source": encode("file", theirs)}]})


def test_a_submission_and_a_deletion_at_once_leave_no_job_without_its_file(desk: Desk):
    for _ in range(10):
        file_id = upload(desk)
        gate = threading.Barrier(2)

        def submit(file_id: UUID = file_id, gate: threading.Barrier = gate) -> bool:
            gate.wait(deadline(10))
            try:
                desk.submit(data={"train": encode("file", file_id)})
            except NotFound:
                return False
            return True

        def remove(file_id: UUID = file_id, gate: threading.Barrier = gate) -> bool:
            gate.wait(deadline(10))
            try:
                delete(desk, file_id)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            submitting, removing = pool.submit(submit), pool.submit(remove)
            assert submitting.result() is not removing.result()


def test_checkpoints_are_listed_in_order_and_only_in_their_project(desk: Desk):
    claim = desk.running()
    saved = [desk.save(claim, step=step, n=1).id for step in (2, 4)]
    other = make_desk(desk.database, "other")
    with desk.database.session() as session:
        found = checkpoints.list_checkpoints(session, claim.job_id)
        assert [checkpoint.id for checkpoint in found] == saved
        assert checkpoints.get(session, desk.project_id, saved[0]).step == 2
        with pytest.raises(NotFound, match="there is no checkpoint ckpt_"):
            checkpoints.get(session, other.project_id, saved[0])
