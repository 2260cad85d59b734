"""A worker's part played by hand: its writes to the store."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from store.artifacts.artifacts import Artifacts
from store.database.database import Database
from store.ids import encode, new_id
from store.jobs import leases
from store.jobs.claim import Claim, claim_next
from store.jobs.outcomes import Completed, ExitInfo, Outcome
from store.log.log import Entry

LEASE_SECONDS = 60


def sample(step: int, *texts: str, outcome: str = "mixed", prompt: str = "1+1=") -> dict[str, Any]:
    completions = [
        {
            "text": text,
            "reward": 1.0,
            "rewards": {"number": 1.0},
            "advantage": 1.0,
            "num_tokens": 3,
            "finish_reason": "stop",
        }
        for text in texts
    ]
    return {"prompt": prompt, "answer": "2", "outcome": outcome, "completions": completions}


@dataclass
class Hand:
    """One attempt at the queue's first job."""

    database: Database
    artifacts: Artifacts
    claim: Claim
    numbers: Any = field(default_factory=lambda: count(1))

    @classmethod
    def claims(cls, database: Database, artifacts: Artifacts) -> "Hand":
        with database.session() as session:
            claim = claim_next(
                session,
                worker_id=new_id(),
                host="workbench",
                queues=["default"],
                num_gpus=0,
                lease_seconds=LEASE_SECONDS,
                boot_id="boot",
            )
        assert claim is not None, "nothing is queued"
        return cls(database, artifacts, claim)

    @property
    def folder(self) -> str:
        """Return the attempt's key in the artifact store."""
        return f"jobs/{encode('job', self.claim.job_id)}/attempt-{self.claim.attempt}"

    def entry(self, kind: str, payload: dict[str, Any], step: int | None = None) -> Entry:
        return Entry(next(self.numbers), kind, step, datetime.now(UTC), payload)

    def ship(self, *entries: Entry) -> str:
        with self.database.session() as session:
            return leases.sync(
                session, self.claim.job_id, self.claim.attempt, entries, LEASE_SECONDS
            )

    def step(self, step: int, **metrics: float) -> None:
        self.ship(self.entry("metric", {"reward": 0.5, "step_time": 2.0, **metrics}, step))

    def checkpoint(self, step: int, files: dict[str, bytes], folder: Path) -> UUID:
        """Upload and register."""
        folder.mkdir()
        listed = []
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            listed.append({"path": path, "bytes": len(content), "sha256": sha256})
        key = f"{self.folder}/step-{step}"
        self.artifacts.put_folder(folder, key)
        with self.database.session() as session:
            return leases.register_checkpoint(
                session,
                self.claim.job_id,
                self.claim.attempt,
                step=step,
                key=key,
                manifest={"format": 1, "step": step, "files": listed},
                bytes=sum(map(len, files.values())),
                final=True,
                n=next(self.numbers),
            ).id

    def finish(self, outcome: Outcome | None = None, log_tail: str = "") -> None:
        with self.database.session() as session:
            leases.finish(
                session,
                self.claim.job_id,
                self.claim.attempt,
                outcome or Completed(),
                ExitInfo(code=0, log_tail=log_tail),
            )
