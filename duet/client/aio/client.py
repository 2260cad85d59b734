"""The client: one server, its resources as attributes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from duet.client.aio.access import AsyncKeys, AsyncProjects
from duet.client.aio.checkpoints import AsyncCheckpoints
from duet.client.aio.files import AsyncFiles
from duet.client.aio.jobs import AsyncJobs, Spec
from duet.client.aio.secrets import AsyncSecrets
from duet.client.aio.sweeps import AsyncSweeps
from duet.client.aio.transport import AsyncTransport
from duet.client.aio.webhooks import AsyncWebhooks
from duet.client.aio.workers import AsyncWorkers
from duet.discovery import find_server
from duet.objects.access import AuditRecord, Me
from duet.objects.catalogue import Dataset, Model, Preset, Reward
from duet.objects.comparison import Comparison
from duet.objects.estimate import Estimates
from duet.objects.file import DataPreview, SourcePreview
from duet.objects.fleet import JobQueue, Readiness
from duet.objects.trial import RewardsTried


class AsyncClient:
    """A client of one server with one key.

    `url` and `key` default to DUET_URL and DUET_API_KEY, else to those of the `duet up` that runs
    in this folder or a parent folder, if only its user and root can write there; `named_by` is the
    variable or the file that they came from.  Requests without a response are retried up to
    `max_retries` times if they are idempotent.

    Raises:
        Problem: the server refused the request, with the reason.
        Unreachable: the server did not answer, or none is configured.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        max_retries: int = 2,
    ) -> None:
        server = find_server(url=url, key=key)
        self.url = server.url
        self.named_by = server.named_by
        http = AsyncTransport(server, timeout_seconds=timeout_seconds, max_retries=max_retries)
        self._http = http
        self.jobs = AsyncJobs(http)
        self.files = AsyncFiles(http)
        self.checkpoints = AsyncCheckpoints(http)
        self.sweeps = AsyncSweeps(http)
        self.workers = AsyncWorkers(http)
        self.webhooks = AsyncWebhooks(http)
        self.keys = AsyncKeys(http)
        self.secrets = AsyncSecrets(http)
        self.projects = AsyncProjects(http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def estimate(self, spec: Spec, *, group_sizes: Sequence[int] = ()) -> Estimates:
        """Estimate a spec's rollouts, tokens, time and memory, also at other group sizes."""
        body = {"spec": spec, "group_sizes": group_sizes}
        return await self._http.post("/v1/estimates", Estimates, json=body, repeatable=True)

    async def compare(
        self,
        jobs: Sequence[str],
        *,
        metric: str | None = None,
        x: str | None = None,
        baseline: str | None = None,
        max_points: int | None = None,
    ) -> Comparison:
        """Compare jobs on one axis: their curves of `metric` (eval/accuracy) over `x`: `step`,
        `rollouts`, `tokens` or `seconds`, and what each saved against the baseline."""
        return await self._http.get(
            "/v1/compare",
            Comparison,
            jobs=",".join(jobs),
            metric=metric,
            x=x,
            baseline=baseline,
            max_points=max_points,
        )

    async def presets(self) -> list[Preset]:
        """List the presets that a spec can start from."""
        return await self._http.all("/v1/presets", Preset)

    async def models(self) -> list[Model]:
        """List the built-in models."""
        return await self._http.all("/v1/models", Model)

    async def datasets(self) -> list[Dataset]:
        """List the built-in data sets."""
        return await self._http.all("/v1/datasets", Dataset)

    async def rewards(self) -> list[Reward]:
        """List the rewards that a spec can name, with the schemas of their settings."""
        return await self._http.all("/v1/rewards", Reward)

    async def try_rewards(
        self, rewards: Sequence[Mapping[str, Any]], completions: Sequence[Mapping[str, Any]]
    ) -> RewardsTried:
        """Score completions as training would.

        `rewards` as in a spec; `completions` as `{"completion": ..., "answer": ..., "item": {}}`.
        """
        body = {"rewards": rewards, "completions": completions}
        return await self._http.post("/v1/rewards/try", RewardsTried, json=body, repeatable=True)

    async def preview_data(self, data: Mapping[str, Any]) -> list[SourcePreview]:
        """Preview the first rows of a spec's section `data` as prompts and expected answers."""
        found = await self._http.post(
            "/v1/datasets/preview", DataPreview, json=data, repeatable=True
        )
        return found.data

    async def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a spec."""
        return await self.read("/v1/schema")

    async def queues(self) -> list[JobQueue]:
        """List the queues with their queued jobs and the estimated wait."""
        return await self._http.all("/v1/queue", JobQueue)

    async def me(self) -> Me:
        """Return this client's key and its project."""
        return await self._http.get("/v1/me", Me)

    def audit(
        self,
        *,
        action: str | None = None,
        by: str | None = None,
        object: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[AuditRecord]:
        """List the changes made with the project's keys, newest first; for the scope `admin`.

        `action` such as `job.cancel`; `by`: a key's id; `object`: the id of what was changed.
        """
        return self._http.pages(
            "/v1/audit", AuditRecord, action=action, by=by, object=object, limit=limit
        )

    async def ready(self) -> Readiness:
        """Return the server's readiness.

        Raises:
            NotReady: the message names the failed checks.
        """
        return await self._http.get("/readyz", Readiness)

    async def read(self, path: str, **params: str | int) -> Any:  # noqa: ANN401 - the server's words
        """Return the server's JSON at `path` unchanged, for routes without a method."""
        return (await self._http.call("GET", path, params=params)).json()
