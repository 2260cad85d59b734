"""`python -m grpo`: the commands of `grpo.commands.program`."""

import sys

from grpo.runtime.garbage import QuickEnd, collection_paused


def main(arguments: list[str]) -> int:
    # Imported here, not at the top: each process that runs rewards imports this file.
    with collection_paused():
        from grpo.commands import program

    return program.main(arguments)


if __name__ == "__main__":
    end = QuickEnd()
    end.code = main(sys.argv[1:])
