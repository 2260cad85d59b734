"""`LIBRARY SECONDS ARGUMENT...`: becomes `python ARGUMENT...` with a clock that is so wrong.

The library is wrong_clock.c, compiled: Python, what is written in Rust, and every child process
ask the clock through it.
"""

import os
import sys

if __name__ == "__main__":
    library, seconds, *arguments = sys.argv[1:]
    wrong = {"LD_PRELOAD": library, "WRONG_SECONDS": seconds, "DUET_TRAINER_ENV": "WRONG_SECONDS"}
    os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, **wrong})
