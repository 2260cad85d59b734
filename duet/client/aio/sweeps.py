"""Sweeps: several jobs, either all queued or none."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from duet.client.aio.transport import AsyncTransport
from duet.objects.sweep import Sweep, SweepSummary, ValidatedSweep

Base = Mapping[str, Any]
Grid = Mapping[str, Sequence[Any]]
"""Values by dotted path into the spec, one job per combination."""
Variants = Sequence[Mapping[str, Any]]
"""Overrides of the spec, one job per entry."""


class AsyncSweeps:
    """`client.sweeps`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(
        self,
        base: Base,
        *,
        grid: Grid | None = None,
        variants: Variants | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Sweep:
        """Queue a job for each combination of the grid's values, or for each variant."""
        body = _body(base, grid=grid, variants=variants, name=name, labels=labels)
        return await self._http.once("/v1/sweeps", Sweep, json=body, key=idempotency_key)

    async def validate(
        self, base: Base, *, grid: Grid | None = None, variants: Variants | None = None
    ) -> ValidatedSweep:
        """Check every job and return its resolved form; nothing is stored."""
        body = _body(base, grid=grid, variants=variants)
        return await self._http.post(
            "/v1/sweeps", ValidatedSweep, json=body, repeatable=True, validate_only=True
        )

    def list(self, *, limit: int | None = None) -> AsyncIterator[SweepSummary]:
        """List the sweeps, newest first, each with the number of its jobs by status."""
        return self._http.pages("/v1/sweeps", SweepSummary, limit=limit)

    async def get(self, sweep: str) -> Sweep:
        return await self._http.get(f"/v1/sweeps/{sweep}", Sweep)

    async def cancel(self, sweep: str, *, kill: bool = False) -> Sweep:
        """Cancel a sweep's jobs that have not ended."""
        return await self._http.post(f"/v1/sweeps/{sweep}/cancel", Sweep, kill=kill)


def _body(base: Base, **fields: object) -> dict[str, object]:
    given = {field: value for field, value in fields.items() if value is not None}
    return {"base": base, **given}
