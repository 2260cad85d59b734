"""The text of a completion, as rewards and users see it."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase


def decode(
    tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int], *, stop: Sequence[str]
) -> str:
    """Return the text without special tokens, cut before the first occurrence of any stop string.

    The tokens that complete a stop string belong to the completion (they are trained on), but not
    to its text.
    """
    text = str(tokenizer.decode(list(token_ids), skip_special_tokens=True))
    ends = [found for one in stop if (found := text.find(one)) >= 0]
    return text[: min(ends)] if ends else text
