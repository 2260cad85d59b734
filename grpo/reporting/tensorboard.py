"""TensorBoard event files of a run, written from its records."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grpo.reporting.records import Record

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """A listener of records that writes metrics and evaluations as scalars at their step and time.

    TensorBoard stores float32.  Non-finite numbers are null in the records and are omitted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None  # opened by the first record

    def __call__(self, record: Record) -> None:
        if self._writer is None:
            self._writer = _open(self._folder, first=record)
        if record["kind"] in ("metric", "eval"):
            _write(self._writer, record)
            self._writer.flush()  # for readers of the file, and in case the process is killed
        elif record["kind"] == "end":
            self._writer.close()


def _open(folder: Path, *, first: Record) -> "SummaryWriter":
    """Open a writer; if the attempt resumes another, hide the other's later steps."""
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import and is rarely used

    resumed = first["kind"] == "resumed"
    purge_step = first["payload"]["from_step"] + 1 if resumed else None
    return SummaryWriter(str(folder), purge_step=purge_step)


def _write(writer: "SummaryWriter", record: Record) -> None:
    at = datetime.fromisoformat(record["at"]).timestamp()
    for name, value in record["payload"].items():
        if isinstance(value, int | float):
            writer.add_scalar(name, value, global_step=record["step"], walltime=at)
