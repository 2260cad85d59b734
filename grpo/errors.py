"""Failures of a run as shown to the user: a stable code, a message, what to do."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""System errors of a full disk or an exhausted quota."""


@dataclass(frozen=True)
class ErrorKind:
    """The meaning of an error code."""

    meaning: str
    retried: bool
    """Whether the job is attempted again, since another attempt could succeed."""


# All error codes of a job, a run or the command line; docs/errors.md is the same table.
ERRORS: Mapping[str, ErrorKind] = {
    # The spec, or something that it names, cannot be used.
    "bad_data": ErrorKind("A row, a template or a data set cannot be read.", retried=False),
    "bad_metric": ErrorKind("The evaluation does not report evaluation.metric.", retried=False),
    "context_too_short": ErrorKind(
        "Prompts and completions may be longer than the model's context.", retried=False
    ),
    "input_missing": ErrorKind(
        "A file or a checkpoint that the job needs has been deleted, or is damaged.",
        retried=False,
    ),
    "model_unusable": ErrorKind(
        "The model cannot be found, loaded or trained as the spec asks.", retried=False
    ),
    "optimizer_unavailable": ErrorKind(
        "The optimizer needs a library or a device that is missing.", retried=False
    ),
    "python_not_allowed": ErrorKind(
        "A reward is Python code, which this installation does not allow.", retried=False
    ),
    "source_not_allowed": ErrorKind(
        "The model or the data may not be used on this server.", retried=False
    ),
    "secret_missing": ErrorKind(
        "A reward names a secret that the project does not have, or that cannot be used.",
        retried=False,
    ),
    "sandbox_unavailable": ErrorKind("The machine cannot sandbox Python rewards.", retried=False),
    "export_exists": ErrorKind(
        "The folder to export to already exists and is not empty.", retried=False
    ),
    # Training failed.
    "nan_loss": ErrorKind("The loss or the gradient is not finite.", retried=False),
    "out_of_memory": ErrorKind(
        "The machine or its GPU ran out of memory, even with smaller micro-batches.",
        retried=False,
    ),
    "reward_failed": ErrorKind("A reward failed more often than allowed.", retried=False),
    "reward_unavailable": ErrorKind(
        "The service of a reward was away for more scores than allowed.", retried=True
    ),
    "rollout_engine_unavailable": ErrorKind(
        "The rollout engine is not installed, or does not start with this model.", retried=False
    ),
    "rollout_engine_failed": ErrorKind("The rollout engine failed during the run.", retried=True),
    "weights_not_synced": ErrorKind(
        "The rollout engine samples with weights that differ from the policy's.", retried=False
    ),
    "internal_error": ErrorKind("An unexpected error in the trainer.", retried=True),
    # Checkpoints.
    "checkpoint_damaged": ErrorKind(
        "A checkpoint's files have changed since they were written. A worker skips it and resumes "
        "from the previous one; without a worker, or if it belongs to another job, the run fails.",
        retried=False,
    ),
    "checkpoint_unusable": ErrorKind(
        "A checkpoint has another format, or its folder cannot be reached.", retried=False
    ),
    "checkpoint_missing": ErrorKind(
        "Training ended, but its final checkpoint is not in the artifact store.", retried=True
    ),
    "upload_failed": ErrorKind(
        "A checkpoint could not be copied to the artifact store.", retried=True
    ),
    "download_failed": ErrorKind(
        "The job's inputs could not be fetched from the artifact store.", retried=True
    ),
    "gpu_unavailable": ErrorKind(
        "The worker has a GPU that torch cannot use: the driver, CUDA or the installed build. The "
        "worker takes no more jobs for that GPU until it is restarted; other workers do.",
        retried=True,
    ),
    "secret_unreadable": ErrorKind(
        "The worker cannot decrypt a secret of the project.", retried=True
    ),
    "disk_full": ErrorKind("A worker's disk or the artifact store is full.", retried=True),
    # The process or its machine.
    "trainer_crashed": ErrorKind(
        "The trainer's process ended without an end record.", retried=True
    ),
    "spec_refused": ErrorKind(
        "The worker's trainer rejects a spec that the server accepted.", retried=False
    ),
    "stalled": ErrorKind("The trainer was alive but made no progress.", retried=True),
    "worker_error": ErrorKind("An unexpected error in the worker.", retried=True),
    "worker_lost": ErrorKind(
        "The worker stopped sending heartbeats: killed, or disconnected.", retried=True
    ),
}


class RunError(Exception):
    """Ends the run as failed.

    Raises:
        KeyError: the code is not in the table.
    """

    def __init__(self, code: str, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.retryable = ERRORS[code].retried
