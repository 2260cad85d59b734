"""A part that never ends, with a process beside it."""

import subprocess
import sys
import time

from tests.gpu.part import Figures, Setting


def measure(setting: Setting) -> Figures:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    sys.stderr.write(f"pid {process.pid}\n")
    while True:
        time.sleep(1)
