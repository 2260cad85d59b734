"""Errors that recur every second are logged at once and then increasingly rarely."""

import psycopg
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from store.database.troubles import LONGEST_SECONDS, Troubles

AWAY = OperationalError("select 1", None, psycopg.OperationalError("no route\nmore\nlines"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(error: Exception, *, seconds: int, events: tuple[str, ...] = ("poll_failed",)) -> list:
    """Log entries while `events` fail with `error` every second."""
    clock = Clock()
    troubles = Troubles(clock)
    with capture_logs() as logged:
        for _ in range(seconds):
            for event in events:
                troubles.tell(event, error)
            clock.now += 1
    return logged


def test_an_outage_is_logged_once_for_all_callers_and_then_rarely():
    logged = told(AWAY, seconds=3600, events=("poll_failed", "reap_failed"))
    assert {line["event"] for line in logged} == {"postgres_away"}
    assert {line["error"] for line in logged} == {"no route"}
    assert not any("exc_info" in line for line in logged)
    assert 10 < len(logged) < 30
    assert logged[1]["again"] == 4
    assert sum(line.get("again", 1) for line in logged) > 2 * (3600 - LONGEST_SECONDS)


def test_a_fault_of_ours_has_its_traceback_once():
    logged = told(TypeError("bytes"), seconds=600)
    assert [line["event"] for line in logged] == ["poll_failed"] * len(logged)
    assert [bool(line.get("exc_info")) for line in logged] == [True] + [False] * (len(logged) - 1)
    assert len(logged) < 15


def test_another_fault_and_one_after_a_long_quiet_are_new():
    clock = Clock()
    troubles = Troubles(clock)
    with capture_logs() as logged:
        for error in (AWAY, KeyError("a"), ValueError("b")):
            troubles.tell("poll_failed", error)
        clock.now = 3 * LONGEST_SECONDS
        troubles.tell("poll_failed", AWAY)
    assert len(logged) == 4
    assert "again" not in logged[3]
