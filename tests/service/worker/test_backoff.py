"""A failed job waits for the time in the worker's settings."""

from datetime import timedelta

import pytest

from store.jobs import attempts
from store.settings import Settings
from store.states import Status
from tests.service.worker.conftest import Desk


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"retry_seconds": 40})


def test_a_crashed_trainers_job_is_held_back(desk: Desk):
    desk.submit("step crash")
    job = desk.run()
    with desk.context.database.session() as session:
        (attempt,) = attempts.list_attempts(session, job.id)
    assert job.status is Status.QUEUED
    assert attempt.ended_at is not None
    assert job.retry_at == attempt.ended_at + timedelta(seconds=40)
