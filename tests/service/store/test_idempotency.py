"""A repeated request gets the first response."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from store import idempotency
from store.errors import KeyBusy, KeyReused
from store.idempotency import Replay
from store.tables import IdempotencyKey
from tests.service.store.desk import Desk, make_desk
from tests.waiting import deadline

ROUTE = "POST /v1/jobs"


def create(desk: Desk, answer: str, *, key: str = "k", body_hash: str = "b") -> Replay | None:
    """Handle a request as the API does; return the replay, if any."""
    with desk.database.session() as session:
        first = idempotency.begin(session, desk.project_id, ROUTE, key, body_hash)
        if first is None:
            idempotency.finish(
                session,
                desk.project_id,
                ROUTE,
                key,
                body_hash,
                status_code=201,
                location=f"/v1/jobs/{answer}",
                body=answer,
            )
        return first


def test_the_same_request_gets_the_first_answer(desk: Desk):
    assert create(desk, "one") is None
    assert create(desk, "two") == Replay(201, "/v1/jobs/one", "one")


def test_another_body_under_the_same_key_is_refused(desk: Desk):
    create(desk, "one")
    with pytest.raises(KeyReused, match="use a new key"):
        create(desk, "two", body_hash="c")


def test_keys_of_other_projects_and_routes_are_other_keys(desk: Desk):
    create(desk, "one")
    assert create(make_desk(desk.database, "other"), "two") is None
    with desk.database.session() as session:
        assert idempotency.begin(session, desk.project_id, "POST /v1/files", "k", "b") is None


def test_a_request_that_failed_left_no_answer(desk: Desk):
    def fail() -> None:
        with desk.database.session() as session:
            idempotency.begin(session, desk.project_id, ROUTE, "k", "b")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert create(desk, "two") is None


def test_simultaneous_duplicates_wait_and_get_one_answer(desk: Desk):
    gate = threading.Barrier(4)

    def one(n: int) -> Replay | None:
        gate.wait(deadline(10))
        return create(desk, str(n))

    with ThreadPoolExecutor(4) as pool:
        answers = [future.result() for future in [pool.submit(one, n) for n in range(4)]]
    assert answers.count(None) == 1
    first = str(answers.index(None))
    assert [a.body for a in answers if a is not None] == [first] * 3


def test_a_duplicate_of_an_unfinished_request_gets_a_retry_time(desk: Desk):
    def ask_again() -> None:
        with desk.database.session() as session:
            idempotency.begin(session, desk.project_id, ROUTE, "k", "b", wait_seconds=0.1)

    with desk.database.session() as session:
        idempotency.begin(session, desk.project_id, ROUTE, "k", "b")
        with pytest.raises(KeyBusy, match="retry it shortly"):
            ask_again()


def test_an_answer_is_forgotten_after_two_days(desk: Desk):
    create(desk, "one")
    create(desk, "another", key="l")
    with desk.database.session() as session:
        session.execute(text("update idempotency_keys set created_at = now() - interval '49 h'"))
    assert create(desk, "two") is None
    with desk.database.session() as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 1
