"""The client's errors, each with the command line's exit code."""

from collections.abc import Mapping, Sequence
from typing import Self

from duet.objects.job import Job

FAILED = 1
REFUSED = 2
UNREACHABLE = 3
INTERRUPTED = 130


class DuetError(Exception):
    """An error whose message says what to do; the command line exits with `exit_code`."""

    exit_code = FAILED


class Unreachable(DuetError):
    """No server is configured, or it does not answer or is not ready."""

    exit_code = UNREACHABLE


class NoServer(Unreachable):
    """No server is named, and none runs in this folder or a parent folder."""


class NotReady(Unreachable):
    """The server answers but is not ready; `checks`: `ok` or `failed` by name."""

    def __init__(self, url: str, checks: Mapping[str, str], problem: str | None = None) -> None:
        super().__init__(url, checks, problem)
        self.url = url
        self.checks = checks
        self.problem = problem

    @property
    def failed(self) -> list[str]:
        return [name for name, state in self.checks.items() if state != "ok"]

    def __str__(self) -> str:
        why = f" ({self.problem})" if self.problem else ""
        failed = ", ".join(f"{name} failed" for name in self.failed)
        return f"{self.url} is not ready: {failed}{why}"


class Refused(DuetError):
    """The user's input is invalid."""

    exit_code = REFUSED


class Damaged(DuetError):
    """A download's sha256 differs from the server's."""


class WaitTimeout(DuetError, TimeoutError):
    """A job has not ended in time; it keeps running."""


class JobFailed(DuetError):
    """A job that was waited for failed or was cancelled."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.job = job

    @property
    def code(self) -> str | None:
        """The stable error code (docs/errors.md); None: it was cancelled."""
        return self.job.error.code if self.job.error else None

    @property
    def hint(self) -> str | None:
        """Advice on what to do."""
        return self.job.error.hint if self.job.error else None

    def __str__(self) -> str:
        job, error = self.job, self.job.error
        if error is None:
            return f"{job.id} was {job.status}: {job.status_reason}"
        lines = [f"{job.id} {job.status}: {error.code}", error.message, error.hint or ""]
        if error.log_tail:
            lines.append("\nThe end of its log:")
            lines += [f"  {line}" for line in error.log_tail.splitlines()]
        return "\n".join(line for line in lines if line)


class Problem(DuetError):
    """The server refused a request, with the reason (RFC 9457).

    `code` is stable, for programs; `errors` holds (pointer, detail) for each invalid field;
    `request_id` finds the request in the server's log.
    """

    exit_code = REFUSED

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(
            status, code, title, detail, tuple(errors), request_id, retry_after_seconds
        )
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds

    def below(self, pointer: str) -> Self:
        """Return the same problem with fields relative to the value sent at `pointer`."""
        errors = [(field.removeprefix(pointer), detail) for field, detail in self.errors]
        return type(self)(
            self.status,
            self.code,
            self.title,
            self.detail.removeprefix(pointer),
            errors,
            self.request_id,
            self.retry_after_seconds,
        )

    def __str__(self) -> str:
        fields = [f"{pointer or '/'}: {detail}" for pointer, detail in self.errors]
        told = self.detail == self.title or any(
            detail in self.detail for _, detail in self.errors[:1]
        )
        detail = "" if told else self.detail
        lines = [self.title, detail, *(f"  {field}" for field in fields)]
        return "\n".join(line for line in lines if line)


class InvalidRequest(Problem):
    """400 or 422: a field or a parameter is invalid; `errors` names it."""


class Unauthenticated(Problem):
    """401: the key is not valid on this server."""

    exit_code = UNREACHABLE


class PermissionDenied(Problem):
    """403: the key lacks the scope."""

    exit_code = UNREACHABLE


class NotFound(Problem):
    """404: it does not exist in the key's project."""


class Conflict(Problem):
    """409: not allowed in the object's state, such as resuming a job that has ended."""


class TooLarge(Problem):
    """413: the file or the body is larger than this server accepts."""


class RateLimited(Problem):
    """429: too many requests, or the project's queue is full; see `retry_after_seconds`."""


class ServerError(Problem):
    """5xx: the server cannot process the request now."""

    exit_code = UNREACHABLE
