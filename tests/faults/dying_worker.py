"""`python -m worker` whose trainers die once, at the point named by the job."""

import sys
from pathlib import Path

from grpo.runtime.garbage import collection_paused

with collection_paused():
    from worker.run import main

if __name__ == "__main__":
    main([sys.executable, str(Path(__file__).with_name("dying_trainer.py"))])
