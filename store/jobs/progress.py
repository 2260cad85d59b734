"""A job's summary, updated from newly shipped records."""

from collections.abc import Sequence
from typing import Any

from store.log import log
from store.tables import Job


def summary(job: Job, rows: Sequence[log.Row]) -> dict[str, Any]:
    """Return the columns of the job's summary as changed by new records."""
    phase, total_steps, step = job.phase, job.total_steps, job.step
    metrics = dict(job.latest_metrics)
    for row in rows:
        payload = row["payload"]
        match row["kind"]:
            case "phase":
                phase = str(payload.get("phase", phase))
                if isinstance(payload.get("total_steps"), int):
                    total_steps = payload["total_steps"]
            case "metric":
                step = row["step"] if row["step"] is not None else step
                metrics |= log.without_notes(payload)
            case "eval":
                metrics |= log.without_notes(payload)
    return {"phase": phase, "total_steps": total_steps, "step": step, "latest_metrics": metrics}


def evaluations(job: Job, rows: Sequence[log.Row]) -> dict[int, float]:
    """Map each evaluated step to its `evaluation.metric`, where it has one."""
    metric = job.spec["evaluation"]["metric"]
    return {
        row["step"]: row["payload"][metric]
        for row in rows
        if row["kind"] == "eval" and row["payload"].get(metric) is not None
    }
