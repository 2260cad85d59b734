"""What the store refuses.  Each message says what to do."""


class StoreError(Exception):
    """The base of what follows."""


class NotFound(StoreError):
    """There is no such thing, or it belongs to another project."""

    def __init__(self, what: str, id: object) -> None:
        super().__init__(what, id)
        self.what = what
        self.id = id

    def __str__(self) -> str:
        return f"there is no {self.what} {self.id} in this project; list what there is"


class Conflict(StoreError):
    """A move that the present state does not allow."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class QuotaExceeded(StoreError):
    """One job more would wait than the project may have waiting."""

    def __init__(self, max_queued: int) -> None:
        super().__init__(max_queued)
        self.max_queued = max_queued

    def __str__(self) -> str:
        return (
            f"{self.max_queued} jobs of this project wait, which is as many as may: "
            "submit again when one of them has begun, or cancel one"
        )


class ScopeMissing(StoreError):
    """A key was to hand on a scope that it has not."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope

    def __str__(self) -> str:
        return f"this needs a key that itself has the scope {self.scope!r}: use one that has it"


class KeyBusy(Conflict):
    """The same request is still being handled elsewhere: repeat it in a moment."""


class KeyReused(StoreError):
    """An idempotency key came again with another body."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return (
            f"the Idempotency-Key {self.key!r} was used for another request body: "
            "make a new key for a new request"
        )


class LeaseLost(StoreError):
    """The attempt is over: a newer attempt, the reaper or a terminal state has the job.

    An expected result of a fenced write; the only thing left to do is to end the child.
    """

    def __init__(self, job_id: object, attempt: int) -> None:
        super().__init__(job_id, attempt)
        self.job_id = job_id
        self.attempt = attempt

    def __str__(self) -> str:
        return f"attempt {self.attempt} of job {self.job_id} is over; end its child"


class DatabaseUnusable(StoreError):
    """The database that DATABASE_URL names cannot be used as it is, whoever tries."""


class ArtifactError(StoreError):
    """A stored file is missing, damaged, or not where a key may lead."""


class ArtifactMissing(ArtifactError):
    """There is no such stored file."""


class ArtifactDamaged(ArtifactError):
    """A stored file is not what was written."""


class ArtifactsAway(ArtifactError):
    """The artifact store does not answer at present, or not in full."""


class ArtifactsFull(ArtifactError):
    """The artifact store has no room for more."""


class ArtifactsRefused(ArtifactError):
    """The artifact store cannot be used with the settings as they are: no such bucket or folder,
    or no permission."""
