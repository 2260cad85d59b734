"""The state shared by all attempts on one worker."""

import os
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from store.artifacts.artifacts import Artifacts
from store.database.database import Database
from store.ids import new_id
from store.security.encryption import Cipher
from store.settings import Settings
from store.telemetry.tracing import Tracing
from worker.machine.retired_gpus import RetiredGpus
from worker.machine.write_check import WriteCheck
from worker.processes import boot_id


@dataclass(frozen=True)
class WorkerContext:
    """One worker process: its identity, its services, and the signals it has received."""

    settings: Settings
    database: Database
    artifacts: Artifacts
    trainer: Sequence[str]
    """The command that takes `run SPEC --out DIR ...`."""
    environment: Mapping[str, str]
    """The trainer's environment variables, without access to the database."""
    tracing: Tracing = field(default_factory=Tracing)
    worker_id: UUID = field(default_factory=new_id)
    host: str = field(default_factory=socket.gethostname)
    boot_id: str = field(default_factory=boot_id)
    pid: int = field(default_factory=os.getpid)
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set to claim no more jobs, let trainers save, return their jobs to the queue, and end."""
    hurrying: threading.Event = field(default_factory=threading.Event)
    """Set to kill trainers and return their jobs to the queue now."""
    drain_asked: threading.Event = field(default_factory=threading.Event)
    """Set by a signal; the maintenance loop then writes it to the worker's row, which is
    authoritative."""
    draining: threading.Event = field(default_factory=threading.Event)
    """Whether the worker's row asked for a drain when last read."""
    retired: RetiredGpus = field(default_factory=RetiredGpus)
    writes: WriteCheck = field(init=False)
    cipher: Cipher | None = field(init=False)
    """Decrypts the projects' secrets; None: the worker has no key."""

    def __post_init__(self) -> None:
        check = WriteCheck(self.settings.runs_dir, self.settings.artifacts_url, self.worker_id)
        object.__setattr__(self, "writes", check)
        object.__setattr__(self, "cipher", Cipher.of(self.settings))

    @property
    def takes_more(self) -> bool:
        """Whether this worker looks for jobs; the claim checks the row again."""
        ending = (self.stopping, self.drain_asked, self.draining)
        return not any(event.is_set() for event in ending)
