"""Duet's Python client (docs/python.md).

client = duet.Client()
file = client.files.upload("problems.jsonl")
job = client.jobs.create({"preset": "2-grpo", "data": {"train": file.id}})
client.jobs.wait(job.id)
"""

from importlib.metadata import version

from duet.client.aio.client import AsyncClient
from duet.client.sync.client import Client
from duet.errors import (
    Conflict,
    Damaged,
    DuetError,
    InvalidRequest,
    JobFailed,
    NotFound,
    NotReady,
    PermissionDenied,
    Problem,
    RateLimited,
    Refused,
    ServerError,
    TooLarge,
    Unauthenticated,
    Unreachable,
    WaitTimeout,
)
from duet.objects.checkpoint import Checkpoint
from duet.objects.file import File
from duet.objects.job import Job
from duet.objects.log import Record, Sample
from duet.objects.metrics import Metrics

__all__ = [
    "AsyncClient",
    "Checkpoint",
    "Client",
    "Conflict",
    "Damaged",
    "DuetError",
    "File",
    "InvalidRequest",
    "Job",
    "JobFailed",
    "Metrics",
    "NotFound",
    "NotReady",
    "PermissionDenied",
    "Problem",
    "RateLimited",
    "Record",
    "Refused",
    "Sample",
    "ServerError",
    "TooLarge",
    "Unauthenticated",
    "Unreachable",
    "WaitTimeout",
    "__version__",
]

__version__ = version("duet")
