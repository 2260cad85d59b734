"""`python -m worker` whose trainers die once, each at the point that its job names."""

import sys
from pathlib import Path

from worker.__main__ import main

if __name__ == "__main__":
    main([sys.executable, str(Path(__file__).with_name("dying_trainer.py"))])
