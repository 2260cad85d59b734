"""`python -m grpo.data.gym_program PARENT TASK PARAMETERS SEED SIZE OUT`: see `grpo.data.gym_rows`.

The process has a limit of memory, none of the secrets in its environment, and ends with PARENT.
"""

import sys

from grpo.data.gym_rows import MEMORY_BYTES, main
from grpo.runtime.bounded_process import enter

if __name__ == "__main__":
    enter(MEMORY_BYTES, int(sys.argv[1]))
    main(*sys.argv[2:])
