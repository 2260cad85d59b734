"""Checks of the machine before a run."""

from pathlib import Path

import pytest
import torch

from grpo.assembly import computes_bfloat16


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU answers for itself")
@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ("flags : fpu avx2 avx512f avx512_bf16 amx_tile", True),
        ("flags : fpu amx_bf16", True),
        ("Features : asimd bf16 i8mm", True),
        ("flags : fpu avx2 avx512f avx512_vnni", False),
    ],
)
def test_bfloat16_is_emulated_where_the_processor_has_no_instructions_for_it(
    tmp_path: Path, flags: str, native: bool
):
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"processor : 0\n{flags}\n")
    assert computes_bfloat16(processor) is native
