"""Errors of the store.  Each message says what to do."""


class StoreError(Exception):
    """Base class of the store's errors."""


class NotFound(StoreError):
    """The object does not exist, or belongs to another project."""

    def __init__(self, what: str, id: object) -> None:
        super().__init__(what, id)
        self.what = what
        self.id = id

    def __str__(self) -> str:
        return f"there is no {self.what} {self.id} in this project: check the id, or list them"


class Conflict(StoreError):
    """A change that the current state does not allow."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class QuotaExceeded(StoreError):
    """The project's limit of queued jobs is reached."""

    def __init__(self, max_queued: int) -> None:
        super().__init__(max_queued)
        self.max_queued = max_queued

    def __str__(self) -> str:
        jobs = "1 queued job" if self.max_queued == 1 else f"{self.max_queued} queued jobs"
        return (
            f"this project already has {jobs}, its limit: "
            "submit again when one of them has started, or cancel one"
        )


class ScopeMissing(StoreError):
    """A key tried to grant a scope that it does not have."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope

    def __str__(self) -> str:
        return f"this requires a key with the scope {self.scope!r}: use one that has it"


class KeyBusy(Conflict):
    """The same request is still being processed: retry it shortly."""


class KeyReused(StoreError):
    """An idempotency key was reused with a different body."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return (
            f"the Idempotency-Key {self.key!r} was used for a different request body: "
            "use a new key for a new request"
        )


class LeaseLost(StoreError):
    """The attempt is over: the job belongs to a newer attempt, was reaped or has ended.

    An expected result of a fenced write; the worker then only ends the trainer process.
    """

    def __init__(self, job_id: object, attempt: int) -> None:
        super().__init__(job_id, attempt)
        self.job_id = job_id
        self.attempt = attempt

    def __str__(self) -> str:
        return f"attempt {self.attempt} of job {self.job_id} is over; end its trainer process"


class SecretsKeyUnusable(StoreError):
    """DUET_SECRETS_KEY is malformed."""


class SecretUnreadable(StoreError):
    """A stored secret cannot be decrypted by this process."""


class SecretNotForHost(StoreError):
    """A reward would send a secret to a host that it was not set for."""

    def __init__(self, pointer: str, name: str, host: str) -> None:
        super().__init__(pointer, name, host)
        self.pointer = pointer
        self.name = name
        self.host = host

    def __str__(self) -> str:
        return (
            f"the secret {self.name} may not be sent to {self.host}: an admin allows it by "
            f"`duet secrets set {self.name} --host {self.host}`"
        )


class DatabaseUnusable(StoreError):
    """The database that DATABASE_URL names cannot be used by any process in its current state."""


class ArtifactError(StoreError):
    """A stored file is missing or damaged, or its key is not allowed."""


class ArtifactMissing(ArtifactError):
    """The stored file does not exist."""


class ArtifactDamaged(ArtifactError):
    """A stored file differs from what was written."""


class ArtifactsAway(ArtifactError):
    """The artifact store does not answer, or only partly."""


class ArtifactsFull(ArtifactError):
    """The artifact store is full."""


class ArtifactsRefused(ArtifactError):
    """The artifact store cannot be used with the current settings: the bucket or folder does not
    exist, or permission is denied."""
