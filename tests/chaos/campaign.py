"""A campaign: jobs are submitted and faults injected as planned, until all jobs have ended."""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import combinations, count
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from store.states import TERMINAL
from store.tables import Job
from tests.chaos.faults import Scene, Submitted, strike
from tests.chaos.plan import Ending, Kind, Plan, PlannedFault, PlannedJob
from tests.chaos.system import System, running
from tests.chaos.users import Users
from tests.chaos.verdict import (
    Expected,
    Seen,
    Violation,
    judge,
    judge_files,
    judge_runs,
    look,
    stray,
)
from tests.faults.conftest import FAST, STEPS, Unbroken
from tests.waiting import deadline

TICK_SECONDS = 0.1
PATIENCE_SECONDS = 20.0
"""Time after which a fault without a target becomes the kill of a trainer.  These times are the
reference machine's: `deadline` scales them to this one."""
STUCK_SECONDS = 90.0
"""Time without growth of any job's log after which the campaign has stalled."""
LONGEST_SECONDS = 900.0
"""Time limit after the last fault."""
TIDY_SECONDS = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """Result of a campaign."""

    plan: Plan
    seen: Sequence[Seen]
    struck: Mapping[Kind, int]
    num_repeated: int
    """Number of retried requests."""
    wall_seconds: float
    """Time from the first job's submission to the last one's end."""
    violations: Sequence[Violation]


def run_campaign(
    plan: Plan, *, folder: Path, unbroken: Unbroken, num_workers: int, say: Say
) -> Outcome:
    """Start a system in `folder`, inject the faults, judge it, and end all its processes."""
    expected = [_expected(job, unbroken) for job in plan.jobs]
    with running(folder, num_workers=num_workers) as system:
        with closing(Users(system.url, system.key)) as users:
            campaign = Campaign(plan, system, users, say=say)
            wall_seconds = campaign.run()
            outcome = campaign.outcome(expected, wall_seconds)
        codes = system.close_workers()
    ends = [Violation("left over", f"a drained worker ended with {c}") for c in codes if c]
    left = [Violation("left over", process) for process in system.left_over()]
    return replace(outcome, violations=[*outcome.violations, *ends, *left])


class Campaign:
    """One system under one plan."""

    def __init__(self, plan: Plan, system: System, users: Users, *, say: Say) -> None:
        self._plan = plan
        self._system = system
        self._users = users
        self._say = say
        self._scene = Scene(system, users, self._submit_next, to_cancel=plan.cancels)
        self._mends: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._struck: Counter[Kind] = Counter()
        self._twins: set[str] = set()
        self._began_at = time.monotonic()

    def run(self) -> float:
        """Run until all jobs have ended, or nothing changes any more; return the time taken [s]."""
        self._began_at = time.monotonic()
        for number, fault in enumerate(self._plan.faults):
            self._submit_due(number)
            self._wait(fault.delay_seconds)
            self._strike(number, fault)
        self._submit_due(len(self._plan.faults))
        while self._mends:
            self._tick()
        self._wait_for_ends()
        return time.monotonic() - self._began_at

    def outcome(self, expected: Sequence[Expected], wall_seconds: float) -> Outcome:
        self._wait_for_tidying()
        with self._system.database.session() as session:
            seen = look(session)
        return Outcome(
            plan=self._plan,
            seen=seen,
            struck=self._struck,
            num_repeated=self._users.num_repeated,
            wall_seconds=wall_seconds,
            violations=list(self._violations(seen, expected)),
        )

    def _violations(
        self, seen: Sequence[Seen], expected: Sequence[Expected]
    ) -> Iterator[Violation]:
        by_id = {
            job.id: wanted
            for job, wanted in zip(self._scene.submitted, expected, strict=True)
            if job.id is not None
        }
        yield from judge(seen, by_id)
        yield from judge_files(self._system.artifacts, seen, damaged=self._scene.damaged)
        yield from judge_runs(self._system.runs)
        yield from (Violation("doubled", twins) for twins in sorted(self._twins))
        yield from (Violation("refused", text) for text in self._users.complaints())

    def _submit_due(self, num_struck: int) -> None:
        """Yield the submissions: a few first, the others spread evenly over the faults."""
        num_jobs, some = len(self._plan.jobs), len(self._system.workplaces) + 2
        at_first = min(some, num_jobs // 2)
        share = num_struck / max(1, len(self._plan.faults) - some)
        due = at_first + share * (num_jobs - at_first)
        while len(self._scene.submitted) < due and self._submit_next():
            pass

    def _submit_next(self) -> Submitted | None:
        index = len(self._scene.submitted)
        if index == len(self._plan.jobs):
            return None
        job = self._plan.jobs[index]
        submitted = Submitted(job, self._users.submit(spec_of(job)))
        self._scene.submitted.append(submitted)
        return submitted

    def _strike(self, number: int, fault: PlannedFault) -> None:
        """Inject a fault once it has an effect."""
        latest = time.monotonic() + deadline(PATIENCE_SECONDS)
        while (struck := strike(self._scene, fault)) is None:
            self._tick()
            if time.monotonic() > latest and fault.kind is not Kind.CANCELLED:
                fault = replace(fault, kind=Kind.TRAINER_KILLED)
        self._struck[fault.kind] += 1
        at = time.monotonic() - self._began_at
        self._say(f"{at:7.1f} s  fault {number + 1:2}: {fault.kind}; {struck.what}".rstrip("; "))
        if struck.mend is not None:
            due = time.monotonic() + fault.hold_seconds
            heapq.heappush(self._mends, (due, next(self._numbers), struck.mend))

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._tick()

    def _tick(self) -> None:
        """Apply due repairs, and check that no job runs twice."""
        while self._mends and self._mends[0][0] <= time.monotonic():
            _, _, mend = heapq.heappop(self._mends)
            mend()
        self._twins |= _twins(self._system.all_trainers())
        time.sleep(TICK_SECONDS)

    def _wait_for_ends(self) -> None:
        """Wait for all jobs to end, or until a stalled state can be judged."""
        last, changed_at = None, time.monotonic()
        latest = changed_at + deadline(LONGEST_SECONDS)
        while not (self._users.all_answered and self._all_ended()):
            self._tick()
            now = self._log_lengths()
            if now != last:
                last, changed_at = now, time.monotonic()
            if self._users.complaints() or time.monotonic() > min(
                changed_at + deadline(STUCK_SECONDS), latest
            ):
                return

    def _all_ended(self) -> bool:
        with self._system.database.session() as session:
            query = select(func.count()).select_from(Job).where(Job.status.not_in(TERMINAL))
            return session.scalar(query) == 0

    def _log_lengths(self) -> int | None:
        with self._system.database.session() as session:
            return session.scalar(select(func.sum(Job.last_seq)))

    def _wait_for_tidying(self) -> None:
        """Wait until the workers' cleanup has removed leftovers of crashes."""
        latest = time.monotonic() + deadline(TIDY_SECONDS)
        while self._untidy() and time.monotonic() < latest:
            self._tick()

    def _untidy(self) -> bool:
        with self._system.database.session() as session:
            keys = {checkpoint.key for one in look(session) for checkpoint in one.checkpoints}
        return bool(stray(self._system.artifacts, keys) or list(judge_runs(self._system.runs)))


def spec_of(job: PlannedJob) -> dict[str, Any]:
    """Return the spec of a small training; one that is to be cancelled does not end by itself."""
    spec = {**FAST, "seed": job.seed, "resources": {"max_failures": 100}}
    if job.ending is Ending.SUCCEEDED:
        return spec
    endless = {"budget": {"max_steps": 100_000, "epochs": 10_000}}
    return {**spec, **endless, "checkpoints": {"every_steps": 20}}


def _expected(job: PlannedJob, unbroken: Unbroken) -> Expected:
    ends = job.ending is Ending.SUCCEEDED
    weights = unbroken.weights(spec_of(job)) if ends else None
    return Expected(ending=job.ending, steps=STEPS, weights=weights)


def _twins(trainers: Sequence[psutil.Process]) -> set[str]:
    """Two attempts at one job that run at the same time."""
    folders = [(process, _folder(process)) for process in trainers]
    return {
        f"{one[1]} and {other[1]} run at the same time"
        for one, other in combinations(folders, 2)
        if one[1] and other[1]
        if one[1] != other[1] and one[1].parent == other[1].parent
        if one[0].is_running() and other[0].is_running()
    }


def _folder(process: psutil.Process) -> Path | None:
    """Return the run directory of a trainer, or None if it has ended."""
    try:
        command = process.cmdline()
    except psutil.Error:
        return None
    return Path(command[command.index("--out") + 1]) if "--out" in command else None
