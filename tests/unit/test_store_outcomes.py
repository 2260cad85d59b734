"""State of a job after the end of an attempt: the whole table."""

import pytest

from store.jobs.outcomes import Completed, Failed, Lost, Outcome, Stopped, checked, decide
from store.states import Status, Wanted

ERROR = {"code": "trainer_crashed", "message": "it died", "hint": "look"}
COMPLETED, STOPPED, LOST = Completed(), Stopped(), Lost(ERROR)
RETRYABLE, HOPELESS = Failed(ERROR, retryable=True), Failed(ERROR, retryable=False)
RUN, PAUSE, CANCEL, KILL = Wanted
QUEUED, RUNNING, PAUSED, SUCCEEDED, FAILED, CANCELLED = Status

TABLE = [
    # outcome, wanted, failures before, status, failures after; max_failures is 3
    (COMPLETED, RUN, 2, SUCCEEDED, 2),
    (COMPLETED, PAUSE, 2, SUCCEEDED, 2),
    (COMPLETED, CANCEL, 2, SUCCEEDED, 2),
    (COMPLETED, KILL, 2, SUCCEEDED, 2),
    (STOPPED, RUN, 2, QUEUED, 2),
    (STOPPED, PAUSE, 2, PAUSED, 2),
    (STOPPED, CANCEL, 2, CANCELLED, 2),
    (STOPPED, KILL, 2, CANCELLED, 2),
    (RETRYABLE, RUN, 0, QUEUED, 1),
    (RETRYABLE, RUN, 1, QUEUED, 2),
    (RETRYABLE, RUN, 2, FAILED, 3),
    (RETRYABLE, PAUSE, 0, PAUSED, 1),
    (RETRYABLE, PAUSE, 2, FAILED, 3),
    (RETRYABLE, CANCEL, 2, CANCELLED, 2),
    (RETRYABLE, KILL, 2, CANCELLED, 2),
    (LOST, RUN, 0, QUEUED, 1),
    (LOST, RUN, 2, FAILED, 3),
    (LOST, PAUSE, 0, PAUSED, 1),
    (LOST, PAUSE, 2, FAILED, 3),
    (LOST, CANCEL, 0, CANCELLED, 0),
    (LOST, KILL, 0, CANCELLED, 0),
    (HOPELESS, RUN, 0, FAILED, 1),
    (HOPELESS, PAUSE, 0, FAILED, 1),
    (HOPELESS, CANCEL, 0, CANCELLED, 0),
    (HOPELESS, KILL, 0, CANCELLED, 0),
]


@pytest.mark.parametrize(("outcome", "wanted", "before", "status", "after"), TABLE)
def test_an_ended_attempt_moves_its_job(
    outcome: Outcome, wanted: Wanted, before: int, status: Status, after: int
):
    move = decide(outcome, wanted=wanted, failures=before, max_failures=3)
    assert (move.status, move.failures) == (status, after)


def test_the_table_has_every_outcome_under_every_wish():
    assert {(outcome, wanted) for outcome, wanted, *_ in map(named, TABLE)} == {
        (outcome, wanted)
        for outcome in ("Completed", "Stopped", "Lost", "retryable", "hopeless")
        for wanted in Wanted
    }


def test_a_reason_describes_the_cause_and_the_count():
    counted = decide(RETRYABLE, wanted=RUN, failures=0, max_failures=3)
    assert counted.reason == "failure 1 of 3: it died"
    assert decide(STOPPED, wanted=RUN, failures=0, max_failures=3).reason == "its worker stopped"
    cancelled = decide(LOST, wanted=CANCEL, failures=0, max_failures=3)
    assert cancelled.reason == (
        "cancel was requested; the attempt ended by trainer_crashed: it died"
    )


def test_a_run_that_completed_early_has_a_reason():
    early = Completed("budget.max_rollouts: 4,096 of 4,096 drawn")
    move = decide(early, wanted=RUN, failures=0, max_failures=3)
    assert (move.status, move.reason) == (SUCCEEDED, "budget.max_rollouts: 4,096 of 4,096 drawn")
    assert decide(COMPLETED, wanted=RUN, failures=0, max_failures=3).reason == "completed"


def test_a_completion_counts_only_with_its_final_checkpoint():
    assert checked(COMPLETED, has_final_checkpoint=True) is COMPLETED
    missing = checked(COMPLETED, has_final_checkpoint=False)
    assert isinstance(missing, Failed)
    assert (missing.error["code"], missing.retryable) == ("checkpoint_missing", True)
    assert checked(STOPPED, has_final_checkpoint=False) is STOPPED


def named(row: tuple) -> tuple:
    outcome = row[0]
    if isinstance(outcome, Failed):
        return ("retryable" if outcome.retryable else "hopeless", *row[1:])
    return (type(outcome).__name__, *row[1:])
