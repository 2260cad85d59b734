"""Times by a clock that may be wrong, told by the database's."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from store.log import clock_skew
from store.tables import Attempt
from tests.service.store.desk import AT, Desk, metric

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def ages(desk: Desk, *, local_now: datetime) -> list[timedelta]:
    """How long before the database's now two entries are dated that say AT and AT + 1 s; their
    attempt began an hour ago."""
    entries = [metric(1, 1), replace(metric(2, 2), at=AT + SECOND)]
    claim = desk.running()
    job_id, attempt = claim.job_id, claim.attempt
    with desk.database.session() as session:
        session.execute(update(Attempt).values(started_at=func.now() - HOUR))
        found = clock_skew.by_database_clock(session, job_id, attempt, entries, local_now=local_now)
        now = session.scalars(select(func.now())).one()
    return [now - entry.at for entry in found]


def test_an_entry_is_as_old_as_it_says_whatever_the_date(desk: Desk):
    assert ages(desk, local_now=AT + 5 * SECOND) == [5 * SECOND, 4 * SECOND]


@pytest.mark.parametrize(
    ("set_by", "expected"), [(24 * HOUR, HOUR), (-24 * HOUR, timedelta())], ids=["on", "back"]
)
def test_where_the_clock_was_set_meanwhile_an_entry_is_still_within_its_attempt(
    desk: Desk, set_by: timedelta, expected: timedelta
):
    assert ages(desk, local_now=AT + SECOND + set_by) == [expected, expected]
