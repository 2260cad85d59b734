"""What can go wrong between a user and a server, each with its exit code."""

from collections.abc import Sequence

FAILED = 1
REFUSED = 2
UNREACHABLE = 3


class DuetError(Exception):
    """A message that says what to do; the command line ends with `exit_code`."""

    exit_code = FAILED


class Unreachable(DuetError):
    """No server answers, none is known, or it can not work now."""

    exit_code = UNREACHABLE


class Refused(DuetError):
    """What the user wrote can not be used."""

    exit_code = REFUSED


class JobFailed(DuetError):
    """A job that was watched did not succeed."""


class Problem(DuetError):
    """The server refused a request, and says why (RFC 9457).

    `errors` are (pointer, detail), one for each bad field.
    """

    def __init__(
        self, status: int, title: str, detail: str, errors: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.exit_code = UNREACHABLE if status in {401, 403} or status >= 500 else REFUSED
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.title, self.detail if self.detail != self.title else ""]
        lines += [f"  {pointer or '/'}: {detail}" for pointer, detail in self.errors]
        return "\n".join(line for line in lines if line)
