"""Training of the base policy `tiny-arithmetic`: `python -m grpo.builtin.recipe OUT`.

Supervised learning, from random weights, of worked chain additions in which each partial sum is
wrong with probability 0.25.  The policy becomes right as often as its teacher: 0.75 to the power of
the number of partial sums, 38 % overall.  Its mistakes are a learned habit, not a lack of skill, so
that reinforcement learning can improve it within a minute.  The same number of threads gives the
same weights.
"""

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import AdamW, Muon
from torch.optim.lr_scheduler import LambdaLR
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from grpo.builtin.arithmetic import demonstrations

SEED = 0
STEPS = 240
WARMUP_STEPS = 20
DECAY_FRACTION = 0.4  # of the steps, at their end
BATCH_SIZE = 64  # demonstrations
MATRIX_LEARNING_RATE = 5e-3
OTHER_LEARNING_RATE = 3e-3
MISTAKE_PROBABILITY = 0.25
CONTEXT_TOKENS = 2048

END, END_ID = "<|end|>", 256  # after the bytes
PAD, PAD_ID = "<|pad|>", 257
NO_LOSS = -100  # the label that transformers ignores in the loss


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m grpo.builtin.recipe", description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the policy: config, weights, tokenizer")
    parser.add_argument("--steps", type=int, default=STEPS, help="supervised steps")
    options = parser.parse_args(arguments)
    make_policy(options.out, steps=options.steps)


def make_policy(out: Path, *, steps: int, pairs: Iterator[tuple[str, str]] | None = None) -> None:
    """Train the policy and save it as a Hugging Face folder in bfloat16.

    `pairs`: endless (question, solution) pairs of another task.
    """
    tokenizer = byte_tokenizer()
    if pairs is None:
        pairs = demonstrations(seed=SEED, mistake_probability=MISTAKE_PROBABILITY)
    model = train(new_model(), tokenizer, pairs, steps=steps)
    model.bfloat16().save_pretrained(out)
    tokenizer.save_pretrained(out)


def byte_tokenizer() -> Qwen2Tokenizer:
    """Return a tokenizer with one token per byte of UTF-8, whose id is the byte's value.

    Byte-level BPE without a merge is exactly that.  transformers gives every Qwen2 model Qwen2's
    own tokenizer class, which composes accents (NFC) before it encodes.  `split_special_tokens`
    keeps a prompt that spells out `<|end|>` from being encoded as the end token.
    """
    return Qwen2Tokenizer(
        vocab={character: byte for byte, character in enumerate(_byte_characters())},
        merges=[],
        unk_token=END,  # never needed, but the class would add a token of its own
        eos_token=END,
        pad_token=PAD,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )


def _byte_characters() -> list[str]:
    """Return the character that byte-level BPE uses for each byte 0..255."""
    shown = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    stand_ins = iter(range(0x100, 0x200))
    return [chr(byte if byte in shown else next(stand_ins)) for byte in range(256)]


def new_model() -> Qwen2ForCausalLM:
    """Return a model with 2.4 million random weights."""
    torch.manual_seed(SEED)
    config = Qwen2Config(
        vocab_size=PAD_ID + 1,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END_ID,
        pad_token_id=PAD_ID,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=END_ID, pad_token_id=PAD_ID, do_sample=True
    )
    return model


def train(
    model: Qwen2ForCausalLM,
    tokenizer: Qwen2Tokenizer,
    pairs: Iterator[tuple[str, str]],
    *,
    steps: int,
) -> Qwen2ForCausalLM:
    """Train on solutions: linear warm-up, a constant rate, linear decay to zero.

    Muon trains the layers' matrices and AdamW everything else.  With AdamW alone the policy needs
    several times as many steps to learn which term comes next.
    """
    layers = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    in_layers = {id(weight) for weight in layers}
    others = [weight for weight in model.parameters() if id(weight) not in in_layers]
    optimizers = [
        Muon(layers, lr=MATRIX_LEARNING_RATE, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        AdamW(others, lr=OTHER_LEARNING_RATE, weight_decay=0.0, betas=(0.9, 0.95)),
    ]
    schedules = [LambdaLR(optimizer, partial(rate, steps=steps)) for optimizer in optimizers]
    for step, (ids, labels) in enumerate(islice(batches(tokenizer, pairs), steps), start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids, labels=labels, attention_mask=ids != PAD_ID).loss
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepped in (*optimizers, *schedules):
            stepped.step()
        if step % 20 == 0:
            sys.stderr.write(f"step {step}/{steps}  loss {loss.item():.4f}\n")
    return model.eval()


def rate(step: int, *, steps: int) -> float:
    """Return the learning rate's factor at a step counted from 0."""
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / (DECAY_FRACTION * steps))


def batches(
    tokenizer: Qwen2Tokenizer, pairs: Iterator[tuple[str, str]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield endless batches (ids, labels), [BATCH_SIZE, longest]; only solutions have labels."""
    while True:
        rows = [_encode(tokenizer, *pair) for pair in islice(pairs, BATCH_SIZE)]
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.full((BATCH_SIZE, longest), PAD_ID)
        labels = torch.full((BATCH_SIZE, longest), NO_LOSS)
        for row, (row_ids, row_labels) in enumerate(rows):
            ids[row, : len(row_ids)] = torch.tensor(row_ids)
            labels[row, : len(row_ids)] = torch.tensor(row_labels)
        yield ids, labels


def _encode(tokenizer: Qwen2Tokenizer, question: str, solution: str) -> tuple[list[int], list[int]]:
    prompt_ids = tokenizer.encode(question)
    solution_ids = [*tokenizer.encode(solution), END_ID]
    return prompt_ids + solution_ids, [NO_LOSS] * len(prompt_ids) + solution_ids


if __name__ == "__main__":
    main(sys.argv[1:])
