"""`python -m worker` with the scripted trainer: a whole worker process that starts in a second."""

import sys
from pathlib import Path

from grpo.runtime.garbage import collection_paused

with collection_paused():
    from worker.run import main

if __name__ == "__main__":
    main([sys.executable, str(Path(__file__).with_name("scripted_trainer.py"))])
