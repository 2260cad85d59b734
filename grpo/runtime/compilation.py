"""Prevention of run-time compilation by libraries on a machine without a GPU.

vLLM's sampler and some of transformers' models mark functions for `torch.compile`, which on the CPU
calls a C++ compiler: many machines have none, and on those that do it costs more than it saves
(`docs/decisions/0026-nothing-compiled-on-the-cpu.md`).
"""

import torch


def compile_nothing_on_cpu() -> None:
    """Run code marked for compilation eagerly, unless there is a GPU."""
    if not torch.cuda.is_available():
        torch.compiler.set_stance("force_eager")
