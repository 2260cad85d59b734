"""A job's log and results: waiting, following, reading."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import anyio

from duet.client.aio.transport import AsyncTransport
from duet.client.retry import Patience
from duet.client.sse import Event, EventReader
from duet.errors import JobFailed, ServerError, Unreachable, WaitTimeout
from duet.objects.job import Attempt, Job
from duet.objects.log import Pair, Record, Sample
from duet.objects.metrics import Metrics

AWAY_SECONDS = 60.0
"""Time for which a server may be unreachable while a job is followed or waited for."""
SILENCE_SECONDS = 60.0
"""Silence after which a connection counts as broken; the server pings four times within it."""
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.25, 5.0


class AsyncJobLog:
    """The read-only part of `client.jobs`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def wait(self, job: str, *, timeout_seconds: float | None = None) -> Job:
        """Wait until the job has succeeded and return it; tolerates a minute without the server.

        Raises:
            JobFailed: the job failed or was cancelled.
            WaitTimeout: the job has not ended in time; it keeps running.
        """
        began, pause = time.monotonic(), FIRST_LOOK_SECONDS
        patience = Patience(AWAY_SECONDS)
        while True:
            try:
                now = await self._http.get(f"/v1/jobs/{job}", Job)
            except (Unreachable, ServerError) as error:
                await anyio.sleep(patience.pause_after(error))
                continue
            patience.renew()
            if now.ended:
                return succeeded(now)
            left = _seconds_left(now, began, timeout_seconds)
            await anyio.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)

    async def stream(self, job: str, *, after: int = 0) -> AsyncIterator[Record]:
        """Yield every record of a job's log after number `after`, as written, until the job ends.

        Reconnects after a broken connection without missing or repeating records.  Steps that a
        later attempt repeats are included.

        Raises:
            Unreachable: the server did not answer for a minute.
        """
        patience = Patience(AWAY_SECONDS)
        while True:
            try:
                async with aclosing(self._events(job, after)) as events:
                    async for event in events:
                        patience.renew()
                        if event.name == "end":
                            return
                        record = Record.model_validate_json(event.data)
                        after = record.seq
                        yield record
                pause = 0.0
            except (Unreachable, ServerError) as error:
                pause = patience.pause_after(error)
            await anyio.sleep(pause)

    def records(
        self,
        job: str,
        *,
        kind: str | Sequence[str] | None = None,
        after: int | None = None,
        superseded: bool | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Record]:
        """List the live records, oldest first; with `superseded`, superseded ones as well."""
        return self._http.pages(
            f"/v1/jobs/{job}/records",
            Record,
            limit=limit,
            kind=kind,
            after=after,
            superseded=superseded,
        )

    async def metrics(
        self,
        job: str,
        names: Sequence[str] | None = None,
        *,
        from_step: int | None = None,
        max_points: int | None = None,
    ) -> Metrics:
        """Return a job's curves, the named ones or all, thinned to `max_points` steps (1000)."""
        return await self._http.get(
            f"/v1/jobs/{job}/metrics",
            Metrics,
            names=None if names is None else ",".join(names),
            from_step=from_step,
            max_points=max_points,
        )

    def metrics_csv(
        self,
        job: str,
        names: Sequence[str] | None = None,
        *,
        from_step: int | None = None,
        max_points: int | None = None,
    ) -> AsyncIterator[str]:
        """Yield metrics as CSV lines, one per step; all steps, unless `max_points` thins them."""
        return self._http.lines(
            f"/v1/jobs/{job}/metrics.csv",
            silence_seconds=SILENCE_SECONDS,
            names=None if names is None else ",".join(names),
            from_step=from_step,
            max_points=max_points,
        )

    def metrics_jsonl(
        self,
        job: str,
        names: Sequence[str] | None = None,
        *,
        from_step: int | None = None,
        max_points: int | None = None,
    ) -> AsyncIterator[str]:
        """Yield metrics as JSON lines, one per step; all steps, unless `max_points` thins them."""
        return self._http.lines(
            f"/v1/jobs/{job}/metrics.jsonl",
            silence_seconds=SILENCE_SECONDS,
            names=None if names is None else ",".join(names),
            from_step=from_step,
            max_points=max_points,
        )

    def samples(
        self,
        job: str,
        *,
        step: int | None = None,
        outcome: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Sample]:
        """List sampled prompts with their completions; `outcome` is `mixed` or `tied`."""
        return self._http.pages(
            f"/v1/jobs/{job}/samples", Sample, limit=limit, step=step, outcome=outcome
        )

    async def pairs(self, job: str) -> AsyncIterator[Pair]:
        """Yield a job's preference pairs, step by step."""
        lines = self._http.lines(f"/v1/jobs/{job}/pairs.jsonl", silence_seconds=SILENCE_SECONDS)
        async for line in lines:
            yield Pair.model_validate_json(line)

    async def attempts(self, job: str) -> list[Attempt]:
        """List a job's attempts, oldest first."""
        return await self._http.all(f"/v1/jobs/{job}/attempts", Attempt)

    async def logs(self, job: str, *, attempt: int | None = None, tail: int | None = None) -> str:
        """Return the trainer's output in this attempt or the last; only the last `tail` lines."""
        return await self._http.text(f"/v1/jobs/{job}/logs", attempt=attempt, tail=tail)

    async def _events(self, job: str, after: int) -> AsyncGenerator[Event, None]:
        reader = EventReader()
        opened = self._http.opened(
            f"/v1/jobs/{job}/stream", silence_seconds=SILENCE_SECONDS, params={"after": after}
        )
        async with opened as answer:
            async for line in answer.aiter_lines():
                if event := reader.read(line):
                    yield event


def succeeded(job: Job) -> Job:
    """Return an ended job, if it succeeded.

    Raises:
        JobFailed: the job failed or was cancelled.
    """
    if job.status != "succeeded":
        raise JobFailed(job)
    return job


def _seconds_left(job: Job, began: float, timeout_seconds: float | None) -> float:
    if timeout_seconds is None:
        return LONGEST_LOOK_SECONDS
    left = timeout_seconds - (time.monotonic() - began)
    if left <= 0:
        raise WaitTimeout(f"{job.id} is still {job.status} after {timeout_seconds:g} s")
    return left
