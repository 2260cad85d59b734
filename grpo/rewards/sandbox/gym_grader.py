"""The grader of reasoning-gym's tasks, for `inside.py`, which runs this file before its isolation.

Several of the library's scorers evaluate a completion as Python.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

KEPT = 32  # scorers, by task and parameters
# Their scorers compare with tuples, which JSON does not have.
WITH_TUPLES = frozenset({"arc_agi", "rearc"})


def load() -> Callable[[dict[str, Any], dict[str, Any]], float]:
    """Import the library, and return `grade`."""
    from grpo.runtime.gym_library import GymDataset, make_dataset, task_names

    task_names()
    scorers: OrderedDict[str, GymDataset] = OrderedDict()

    def scorer_of(item: dict[str, Any]) -> GymDataset:
        key = f"{item['task']} {item['parameters']}"
        if key not in scorers:
            scorers[key] = make_dataset(item["task"], item["parameters"], seed=0, size=1)
        scorers.move_to_end(key)
        if len(scorers) > KEPT:
            scorers.popitem(last=False)
        return scorers[key]

    def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
        """Return the task's score.  A scorer that raises at a completion gives 0, unless it raises
        at the row's own answer as well."""
        scorer, entry = scorer_of(item), _entry(item)
        try:
            return float(scorer.score_answer(sample["output_text"], entry))
        except Exception:  # noqa: BLE001 - whatever a text makes of it
            scorer.score_answer(entry["answer"], entry)
            return 0.0

    return grade


def _entry(item: dict[str, Any]) -> dict[str, Any]:
    """Return the library's own form of a row."""
    metadata = item["metadata"]
    if item["task"] in WITH_TUPLES:
        metadata = _tupled(metadata)
    answer = item["answer"] if item["answer"] != "" else None
    return {"question": item["question"], "answer": answer, "metadata": metadata}


def _tupled(value: Any) -> Any:  # noqa: ANN401 - JSON's
    if isinstance(value, list):
        return tuple(map(_tupled, value))
    if isinstance(value, dict):
        return {name: _tupled(inner) for name, inner in value.items()}
    return value
