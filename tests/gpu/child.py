"""One part in a process of its own: `python -m tests.gpu.child MODULE RESULT SETTING`.

Writes what it measured, or why nothing; an error ends the process, with its traceback.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from tests.gpu.part import NotMeasured, Setting

OURS = {"api", "bench", "duet", "grpo", "store", "tests", "worker"}


def main(module: str, result: Path, setting: Setting) -> None:
    try:
        written = {"figures": import_module(module).measure(setting)}
    except NotMeasured as reason:
        written = {"not_measured": str(reason)}
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing in OURS:
            raise
        written = {"not_measured": f"{missing} is not installed"}
    result.write_text(json.dumps(written))


if __name__ == "__main__":
    given = json.loads(sys.argv[3])
    main(
        sys.argv[1],
        Path(sys.argv[2]),
        Setting(given["cpu"], Path(given["folder"]), given["model"] and Path(given["model"])),
    )
