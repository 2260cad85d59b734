"""What all attempts on one worker share."""

import os
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from store.artifacts import Artifacts
from store.database import Database
from store.ids import new_id
from store.settings import Settings
from worker.processes import boot_id


@dataclass(frozen=True)
class Post:
    """One worker process: who it is, what it works with, and whether it has been told to stop."""

    settings: Settings
    database: Database
    artifacts: Artifacts
    trainer: Sequence[str]
    """The command that takes `run SPEC --out DIR ...`."""
    environment: Mapping[str, str]
    """The trainer's: it holds no way to the database."""
    worker_id: UUID = field(default_factory=new_id)
    host: str = field(default_factory=socket.gethostname)
    boot_id: str = field(default_factory=boot_id)
    pid: int = field(default_factory=os.getpid)
    stopping: threading.Event = field(default_factory=threading.Event)
