"""`python -m worker`: run jobs until a signal asks it to end (`worker.run`).

`python -m worker ops` runs the short tasks instead (`worker.ops`).
"""

import sys

from grpo.runtime.garbage import collection_paused


def main(arguments: list[str]) -> None:
    # Imported here, not at the top: each process that inspects files imports this file.
    with collection_paused():
        from worker import ops, run

    match arguments:
        case []:
            run.main()
        case ["ops"]:
            ops.main()
        case other:
            sys.exit(f"usage: python -m worker [ops]; unexpected arguments {' '.join(other)!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
