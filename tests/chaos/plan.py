"""Plan of a campaign, drawn from its seed before anything runs.

The seed determines each fault's kind, order, delay, length and target, and each job's spec, but not
the instruction at which a fault hits a process.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """Kinds of events in a campaign, the user's own actions included."""

    TRAINER_KILLED = "trainer killed"
    WORKER_KILLED = "worker killed"
    ALL_WORKERS_KILLED = "all workers killed at once"
    WORKER_STOPPED = "worker stopped past its lease"
    WORKER_DRAINED = "worker drained"
    API_KILLED = "API killed in a request"
    REDIS_KILLED = "Redis killed, its data kept"
    REDIS_EMPTIED = "Redis killed, its data lost"
    POSTGRES_KILLED = "Postgres killed, soon back"
    POSTGRES_AWAY = "Postgres away past the lease"
    MESSAGES_LOST = "messages lost"
    MESSAGES_DOUBLED = "messages doubled"
    CHECKPOINT_DAMAGED = "byte of a checkpoint flipped"
    PAUSED = "job paused and resumed"
    PRIORITY_CHANGED = "job's priority changed"
    CANCELLED = "job cancelled"


class Ending(StrEnum):
    """Required end of a job."""

    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    KILLED = "killed"
    """Cancelled without a last checkpoint."""


@dataclass(frozen=True)
class PlannedFault:
    """One fault."""

    kind: Kind
    delay_seconds: float
    """Delay after the previous fault."""
    hold_seconds: float
    """Delay until the repair: the server restarted, the worker continued."""
    target: float
    """Selection among possible targets, in [0, 1)."""


@dataclass(frozen=True)
class PlannedJob:
    """One job."""

    ending: Ending
    seed: int
    """Seed of the spec: jobs with the same seed are the same training."""


@dataclass(frozen=True)
class Plan:
    """A campaign."""

    seed: int
    jobs: tuple[PlannedJob, ...]
    """Jobs; the first one runs until the last fault cancels it, so that a target exists."""
    faults: tuple[PlannedFault, ...]

    @property
    def cancels(self) -> list[int]:
        """Return the jobs cancelled by faults of a kind, in order."""
        marked = [n for n, job in enumerate(self.jobs) if job.ending is not Ending.SUCCEEDED]
        return [*marked[1:], 0]


LONGEST_DELAY_SECONDS = 5.0
SPEC_SEEDS = 3
JOBS_FOR_A_CANCEL = 7
TWICE_A_ROUND = (Kind.TRAINER_KILLED,)


def make_plan(*, seed: int, num_jobs: int, num_faults: int, lease_seconds: float) -> Plan:
    """Draw a campaign.  Every kind comes before any comes again, and of all the same number.

    Raises:
        ValueError: there are fewer faults than jobs to be cancelled.
    """
    random = Random(seed)
    endings = _endings(random, num_jobs)
    num_cancels = num_jobs - endings.count(Ending.SUCCEEDED)
    if num_faults < num_cancels:
        raise ValueError(f"{num_cancels} of {num_jobs} jobs are cancelled: more faults are needed")
    kinds = _kinds(random, num_faults=num_faults, num_cancels=num_cancels)
    return Plan(
        seed=seed,
        jobs=tuple(PlannedJob(ending, random.randrange(SPEC_SEEDS)) for ending in endings),
        faults=tuple(
            PlannedFault(
                kind=kind,
                delay_seconds=random.uniform(0, LONGEST_DELAY_SECONDS),
                hold_seconds=random.uniform(*_hold_seconds(kind, lease_seconds)),
                target=random.random(),
            )
            for kind in kinds
        ),
    )


def _endings(random: Random, num_jobs: int) -> list[Ending]:
    """Draw the ends of jobs: the first and one in seven of the others is cancelled or killed."""
    num_ended = (num_jobs - 1) // JOBS_FOR_A_CANCEL
    ended = [random.choice([Ending.CANCELLED, Ending.KILLED]) for _ in range(num_ended)]
    others = [*ended, *[Ending.SUCCEEDED] * (num_jobs - 1 - num_ended)]
    random.shuffle(others)
    return [Ending.CANCELLED, *others]


def _kinds(random: Random, *, num_faults: int, num_cancels: int) -> list[Kind]:
    """Spread the cancels over the campaign; the last fault is one of them."""
    rounds = _rounds(random)
    kinds = [next(rounds) for _ in range(num_faults - num_cancels)]
    for _ in range(num_cancels - 1):
        kinds.insert(random.randint(0, len(kinds)), Kind.CANCELLED)
    return [*kinds, Kind.CANCELLED]


def _rounds(random: Random) -> Iterator[Kind]:
    """Draw all kinds in random order, repeatedly."""
    every = [*(kind for kind in Kind if kind is not Kind.CANCELLED), *TWICE_A_ROUND]
    while True:
        yield from random.sample(every, len(every))


def _hold_seconds(kind: Kind, lease_seconds: float) -> tuple[float, float]:
    """Range of a delay."""
    match kind:
        case Kind.WORKER_STOPPED | Kind.POSTGRES_AWAY:
            return 1.1 * lease_seconds, 1.6 * lease_seconds
        case Kind.REDIS_KILLED | Kind.REDIS_EMPTIED | Kind.PAUSED:
            return 0.5, 4.0
        case _:
            return 0.0, 2.0
