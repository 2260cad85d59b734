"""A job's rollout files: every completion of a step, in the artifact store."""

import re
from uuid import UUID

from sqlalchemy.orm import Session

from store import ids
from store.artifacts.artifacts import Artifacts
from store.log import log

FILE = re.compile(r"step-(\d+)\.jsonl\.zst", re.ASCII)


def live_keys(session: Session, artifacts: Artifacts, job_id: UUID) -> list[str]:
    """Return the keys of the live rollout files, in the order of their steps."""
    starts = log.starts(session, job_id)
    keys: dict[int, str] = {}
    for attempt in starts:
        folder = f"jobs/{ids.encode('job', job_id)}/attempt-{attempt}/rollouts"
        for name in artifacts.names(folder):
            file = FILE.fullmatch(name)
            if file is not None and log.is_live(attempt, int(file[1]), starts):
                keys[int(file[1])] = f"{folder}/{name}"
    return [key for _, key in sorted(keys.items())]
