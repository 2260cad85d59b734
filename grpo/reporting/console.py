"""A run's records as short progress lines, for the terminal and log.txt."""

from collections.abc import Callable, Mapping
from typing import Any

from grpo.evaluation.early_stopping import Best, judge
from grpo.reporting.records import Record
from grpo.spec.rollout import Evaluation

WIDTH = 70  # of a line without its time; with it, below 80 columns
COLUMNS = {
    "reward": "reward {:.3f}",
    "groups/tied_fraction": "ties {:.0%}",
    "grad_norm": "grad norm {:.2g}",
    "completions/mean_length": "length {:.0f}",
    "step_time": "{:.1f} s",
}


class ProgressLines:
    """A listener that prints a progress line for each record of interest."""

    def __init__(self, say: Callable[[str], None], evaluation: Evaluation) -> None:
        self._say = say
        self._evaluation = evaluation
        self._best: Best | None = None
        self._from_step = 0

    def __call__(self, record: Record) -> None:
        line = self._line(record)
        if line is not None:
            self._say(f"{record['at'][11:19]} {line}")

    def _line(self, record: Record) -> str | None:
        payload = record["payload"]
        match record["kind"]:
            case "resumed":
                self._from_step = payload["from_step"]
            case "metric":
                return _numbers(f"step {record['step']}:", payload, COLUMNS)
            case "eval":
                self._weigh(record)
                return _numbers(f"step {record['step']}: held-out", payload, _eval_columns(payload))
            case "checkpoint":
                return f"saved {payload['path']}"
            case "phase":
                return payload["phase"]
            case "message":
                return f"{payload['level']}: {payload['text']}"
            case "end":
                return self._end(payload)
        return None

    def _weigh(self, record: Record) -> None:
        value = record["payload"].get(self._evaluation.metric)
        if value is not None:
            verdict = judge(
                self._best, step=record["step"], value=value, evaluation=self._evaluation
            )
            self._best = verdict.best

    def _end(self, payload: Mapping[str, Any]) -> str:
        """Return the outcome with its error, or with the best evaluation of this attempt."""
        outcome, error = payload["outcome"], payload["error"]
        if error:
            return f"{outcome}: {error['message']} {error['hint']}"
        if self._best is None:
            return outcome
        since = f" since step {self._from_step}" if self._from_step else ""
        best = f"{self._best.value:.4f} at step {self._best.step}"
        return f"{outcome}: best {self._evaluation.metric}{since} {best}"


def _eval_columns(payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of an evaluation: accuracy, pass@k and majority@n if reported, and
    reward."""
    samples = payload["eval/samples"]
    return {
        "eval/accuracy": "accuracy {:.4f}",
        f"eval/pass@{samples}": f"pass@{samples} {{:.4f}}",
        f"eval/majority@{samples}": f"majority@{samples} {{:.4f}}",
        "eval/reward": "reward {:.4f}",
    }


def _numbers(begin: str, payload: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """Return a line with as many columns as fit, omitting columns without a finite number."""
    line = begin
    for name, text in columns.items():
        if payload.get(name) is not None:
            longer = f"{line}{' ' if line == begin else ', '}{text.format(payload[name])}"
            line = longer if len(longer) <= WIDTH else line
    return line
