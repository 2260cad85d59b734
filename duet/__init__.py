"""Duet's Python client.

with duet.Client(url, key) as client:
    file = client.upload(Path("problems.jsonl"))
    job = client.submit({"data": {"train": file.id}})
"""

from duet.client import Client
from duet.errors import DuetError, JobFailed, Problem, Refused, Unreachable
from duet.objects import Checkpoint, File, Job, Record

__all__ = [
    "Checkpoint",
    "Client",
    "DuetError",
    "File",
    "Job",
    "JobFailed",
    "Problem",
    "Record",
    "Refused",
    "Unreachable",
]
