# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""The client: one server, its resources as attributes."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from duet.client.sync.access import Keys, Projects
from duet.client.sync.checkpoints import Checkpoints
from duet.client.sync.files import Files
from duet.client.sync.jobs import Jobs, Spec
from duet.client.sync.secrets import Secrets
from duet.client.sync.sweeps import Sweeps
from duet.client.sync.transport import Transport
from duet.client.sync.webhooks import Webhooks
from duet.client.sync.workers import Workers
from duet.discovery import find_server
from duet.objects.access import AuditRecord, Me
from duet.objects.catalogue import Dataset, Model, Preset, Reward
from duet.objects.comparison import Comparison
from duet.objects.estimate import Estimates
from duet.objects.file import DataPreview, SourcePreview
from duet.objects.fleet import JobQueue, Readiness
from duet.objects.trial import RewardsTried


class Client:
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
        http = Transport(server, timeout_seconds=timeout_seconds, max_retries=max_retries)
        self._http = http
        self.jobs = Jobs(http)
        self.files = Files(http)
        self.checkpoints = Checkpoints(http)
        self.sweeps = Sweeps(http)
        self.workers = Workers(http)
        self.webhooks = Webhooks(http)
        self.keys = Keys(http)
        self.secrets = Secrets(http)
        self.projects = Projects(http)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def estimate(self, spec: Spec, *, group_sizes: Sequence[int] = ()) -> Estimates:
        """Estimate a spec's rollouts, tokens, time and memory, also at other group sizes."""
        body = {"spec": spec, "group_sizes": group_sizes}
        return self._http.post("/v1/estimates", Estimates, json=body, repeatable=True)

    def compare(
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
        return self._http.get(
            "/v1/compare",
            Comparison,
            jobs=",".join(jobs),
            metric=metric,
            x=x,
            baseline=baseline,
            max_points=max_points,
        )

    def presets(self) -> list[Preset]:
        """List the presets that a spec can start from."""
        return self._http.all("/v1/presets", Preset)

    def models(self) -> list[Model]:
        """List the built-in models."""
        return self._http.all("/v1/models", Model)

    def datasets(self) -> list[Dataset]:
        """List the built-in data sets."""
        return self._http.all("/v1/datasets", Dataset)

    def rewards(self) -> list[Reward]:
        """List the rewards that a spec can name, with the schemas of their settings."""
        return self._http.all("/v1/rewards", Reward)

    def try_rewards(
        self, rewards: Sequence[Mapping[str, Any]], completions: Sequence[Mapping[str, Any]]
    ) -> RewardsTried:
        """Score completions as training would.

        `rewards` as in a spec; `completions` as `{"completion": ..., "answer": ..., "item": {}}`.
        """
        body = {"rewards": rewards, "completions": completions}
        return self._http.post("/v1/rewards/try", RewardsTried, json=body, repeatable=True)

    def preview_data(self, data: Mapping[str, Any]) -> list[SourcePreview]:
        """Preview the first rows of a spec's section `data` as prompts and expected answers."""
        found = self._http.post("/v1/datasets/preview", DataPreview, json=data, repeatable=True)
        return found.data

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a spec."""
        return self.read("/v1/schema")

    def queues(self) -> list[JobQueue]:
        """List the queues with their queued jobs and the estimated wait."""
        return self._http.all("/v1/queue", JobQueue)

    def me(self) -> Me:
        """Return this client's key and its project."""
        return self._http.get("/v1/me", Me)

    def audit(
        self,
        *,
        action: str | None = None,
        by: str | None = None,
        object: str | None = None,
        limit: int | None = None,
    ) -> Iterator[AuditRecord]:
        """List the changes made with the project's keys, newest first; for the scope `admin`.

        `action` such as `job.cancel`; `by`: a key's id; `object`: the id of what was changed.
        """
        return self._http.pages(
            "/v1/audit", AuditRecord, action=action, by=by, object=object, limit=limit
        )

    def ready(self) -> Readiness:
        """Return the server's readiness.

        Raises:
            NotReady: the message names the failed checks.
        """
        return self._http.get("/readyz", Readiness)

    def read(self, path: str, **params: str | int) -> Any:  # noqa: ANN401 - the server's words
        """Return the server's JSON at `path` unchanged, for routes without a method."""
        return (self._http.call("GET", path, params=params)).json()
