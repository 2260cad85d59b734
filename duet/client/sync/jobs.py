# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Jobs: creation, listing and control."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from duet.client.sync.job_log import JobLog
from duet.objects.estimate import Validated
from duet.objects.job import Job

Spec = Mapping[str, Any]


class Jobs(JobLog):
    """`client.jobs`."""

    def create(self, spec: Spec, *, idempotency_key: str | None = None) -> Job:
        """Queue the job that a spec describes; every field has a default (docs/trainer.md).

        Only one job is created, even if the connection breaks and the request is repeated.  With
        your own `idempotency_key` this also holds when a script is run again within 48 hours.
        """
        return self._http.once("/v1/jobs", Job, json=spec, key=idempotency_key)

    def validate(self, spec: Spec) -> Validated:
        """Check a spec and return its resolved form; nothing is stored.

        Raises:
            InvalidRequest: the spec is invalid; `errors` names the fields.
        """
        return self._http.post(
            "/v1/jobs", Validated, json=spec, repeatable=True, validate_only=True
        )

    def get(self, job: str) -> Job:
        return self._http.get(f"/v1/jobs/{job}", Job)

    def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        label: str | None = None,
        model: str | None = None,
        text: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """List jobs, newest first, fetched page by page; at most `limit` of them.

        `label` is `name:value`, `text` a part of the job's name; `sort` is `created_at`, `name`,
        `-created_at` or `-name`.
        """
        return self._http.pages(
            "/v1/jobs",
            Job,
            limit=limit,
            status=status,
            label=label,
            model=model,
            text=text,
            sort=sort,
        )

    def update(
        self,
        job: str,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int | None = None,
    ) -> Job:
        """Change a job's name, labels (all of them) or, while it is queued, priority; None:
        unchanged."""
        given = {"name": name, "labels": labels, "priority": priority}
        changes = {field: value for field, value in given.items() if value is not None}
        return self._http.patch(f"/v1/jobs/{job}", Job, json=changes)

    def delete(self, job: str) -> None:
        """Permanently delete an ended job with its log, checkpoints and files."""
        self._http.delete(f"/v1/jobs/{job}")

    def cancel(self, job: str, *, kill: bool = False) -> Job:
        """Cancel a job after its step and a checkpoint; with `kill` immediately, without one."""
        return self._http.post(f"/v1/jobs/{job}/cancel", Job, kill=kill)

    def pause(self, job: str) -> Job:
        """Pause a job: a running one finishes its step and saves first."""
        return self._http.post(f"/v1/jobs/{job}/pause", Job)

    def resume(self, job: str) -> Job:
        """Resume a paused job, or withdraw a pause that has not taken effect."""
        return self._http.post(f"/v1/jobs/{job}/resume", Job)

    def retry(self, job: str, *, idempotency_key: str | None = None) -> Job:
        """Create a job that resumes from an ended job's last checkpoint."""
        return self._http.once(f"/v1/jobs/{job}/retry", Job, key=idempotency_key)

    def fork(
        self,
        job: str,
        checkpoint: str,
        *,
        overrides: Spec | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Create a job from a checkpoint's weights, with the job's spec changed by `overrides`."""
        body = {"checkpoint": checkpoint, "overrides": overrides or {}}
        return self._http.once(f"/v1/jobs/{job}/fork", Job, json=body, key=idempotency_key)
