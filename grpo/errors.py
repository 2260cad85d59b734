"""Why a run failed, in a form that reaches the user: a stable code, a sentence, what to do."""


class RunError(Exception):
    """Ends the run as failed.  `retryable`: another attempt of the same job could succeed."""

    def __init__(self, code: str, message: str, *, hint: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.retryable = retryable
