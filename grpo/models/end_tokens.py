"""The tokens that end a completion, the same for every engine."""

from pathlib import Path

from transformers import GenerationConfig, PreTrainedTokenizerBase


def end_token_ids(model_folder: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the end tokens of the tokenizer and of the folder's generation config, if present.

    Chat models end a turn and a document with different tokens; only the config lists both.
    """
    named = [tokenizer.eos_token_id]
    if (model_folder / "generation_config.json").is_file():
        listed = GenerationConfig.from_pretrained(model_folder).eos_token_id
        named += listed if isinstance(listed, list) else [listed]
    return tuple(sorted({end_id for end_id in named if isinstance(end_id, int)}))
