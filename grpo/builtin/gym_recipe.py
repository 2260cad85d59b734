"""`python -m grpo.builtin.gym_recipe`: regenerates the catalogue of reasoning-gym's tasks.

It runs where reasoning-gym and pycosat are installed.
"""

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from grpo.builtin.gym_tasks import TASKS_FILE
from grpo.data.gym_rows import FIXED, generated
from grpo.data.inspection import inspect
from grpo.runtime.gym_library import defaults_of, task_names

ROWS = 3


def main() -> None:
    """Generate each task's first rows with its default parameters."""
    tasks = {name: _task(name) for name in task_names()}
    lines = (f"{json.dumps(name)}: {json.dumps(task)}" for name, task in tasks.items())
    TASKS_FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _task(name: str) -> dict[str, Any]:
    rows = list(generated(name, {}, seed=0, size=ROWS))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        fields = inspect(str(path)).fields
    return {"parameters": defaults_of(name), "fields": fields, "rows": rows}


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in FIXED.items()):
        os.execve(
            sys.executable,
            [sys.executable, "-m", "grpo.builtin.gym_recipe"],
            {**os.environ, **FIXED},
        )
    main()
