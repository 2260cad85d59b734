"""The tables.  Rows are read through these classes and written by named transitions only."""

from store.tables.access import (
    ApiKey,
    BrowserSession,
    IdempotencyKey,
    Project,
    ProjectSecret,
    ProjectTurn,
)
from store.tables.audit import AuditRecord
from store.tables.base import Base
from store.tables.files import File
from store.tables.fleet import ReaperRun, Worker
from store.tables.jobs import (
    IN_A_SWEEP,
    MODEL_SOURCE,
    SWEEP,
    Attempt,
    Checkpoint,
    Job,
    Record,
)
from store.tables.webhooks import Delivery, Event, Webhook

__all__ = [
    "IN_A_SWEEP",
    "MODEL_SOURCE",
    "SWEEP",
    "ApiKey",
    "Attempt",
    "AuditRecord",
    "Base",
    "BrowserSession",
    "Checkpoint",
    "Delivery",
    "Event",
    "File",
    "IdempotencyKey",
    "Job",
    "Project",
    "ProjectSecret",
    "ProjectTurn",
    "ReaperRun",
    "Record",
    "Webhook",
    "Worker",
]
