"""Conversion of times of a wrong clock to the database's."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from store.log import clock_skew
from store.tables import Attempt
from tests.service.store.desk import AT, Desk, metric

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def ages(desk: Desk, *, local_now: datetime) -> list[timedelta]:
    """Return the ages, by the database's clock, of two entries dated AT and AT + 1 s; their
    attempt began an hour ago."""
    entries = [metric(1, 1), replace(metric(2, 2), at=AT + SECOND)]
    claim = desk.running()
    job_id, attempt = claim.job_id, claim.attempt
    with desk.database.session() as session:
        session.execute(update(Attempt).values(started_at=func.now() - HOUR))
        found = clock_skew.by_database_clock(session, job_id, attempt, entries, local_now=local_now)
        now = session.scalars(select(func.now())).one()
    return [now - entry.at for entry in found]


def test_a_record_is_dated_by_its_age_for_any_clock(desk: Desk):
    assert ages(desk, local_now=AT + 5 * SECOND) == [5 * SECOND, 4 * SECOND]


@pytest.mark.parametrize(
    ("set_by", "expected"), [(24 * HOUR, HOUR), (-24 * HOUR, timedelta())], ids=["on", "back"]
)
def test_after_a_clock_change_a_record_is_still_dated_within_its_attempt(
    desk: Desk, set_by: timedelta, expected: timedelta
):
    assert ages(desk, local_now=AT + SECOND + set_by) == [expected, expected]
