"""A run's records as short lines for whoever watches its terminal or reads its log.txt."""

import sys

from grpo.records import Record

COLUMNS = {
    "reward": "reward {:.3f}",
    "groups/tied_fraction": "ties {:.0%}",
    "grad_norm": "grad norm {:.3f}",
    "completions/mean_length": "length {:.0f}",
    "step_time": "{:.1f} s",
}


def print_progress(record: Record) -> None:
    line = _line(record)
    if line is not None:
        sys.stderr.write(f"{record['at'][11:19]} {line}\n")
        sys.stderr.flush()


def _line(record: Record) -> str | None:
    payload = record["payload"]
    match record["kind"]:
        case "metric":
            shown = [text.format(payload[name]) for name, text in COLUMNS.items()]
            return f"step {record['step']}: {', '.join(shown)}"
        case "eval":
            return f"step {record['step']}: held-out accuracy {payload['eval/accuracy']:.4f}"
        case "checkpoint":
            return f"saved {payload['path']}"
        case "phase":
            return payload["phase"]
        case "message":
            return f"{payload['level']}: {payload['text']}"
        case "end":
            error = payload["error"]
            return payload["outcome"] + (f": {error['message']} {error['hint']}" if error else "")
    return None
