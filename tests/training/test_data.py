"""External data: the hub, folders with the hub's layout, unmodified GSM8K."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as arrow
import pytest
from pyarrow import parquet
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from grpo.builtin.catalogue import MODELS
from grpo.data.prompt_sampler import PromptSampler
from grpo.data.prompts import load_prompts
from grpo.errors import RunError
from grpo.spec.data import Data
from grpo.spec.resolve import load_spec
from tests.hub import serving_hub
from tests.waiting import deadline

EXAMPLES = Path(__file__).parents[2] / "examples"
GSM8K = os.environ.get("DUET_GSM8K")
READ_HUB = """
import sys
from grpo.data.hub import read_hub
from grpo.errors import RunError
from grpo.spec.data import DataSource
try:
    print(next(read_hub(DataSource(source="openai/gsm8k", config="main"), split="train")).fields)
except RunError as error:
    print(error.code, error.message, error.hint)
"""
CONFIGS = """---
configs:
- config_name: main
  data_files:
  - {split: train, path: main/train.jsonl}
  - {split: test, path: main/test.jsonl}
- config_name: short
  data_files:
  - {split: train, path: short.jsonl}
---
"""


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)


@pytest.fixture(params=["unreachable", "offline"])
def no_hub(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Environment of a process without access to the hub."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # taken, and nobody listens
        unreachable = {"HF_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        yield unreachable if request.param == "unreachable" else {"HF_HUB_OFFLINE": "1"}


def make_dataset(folder: Path) -> Path:
    """A folder with the hub's layout: `main` has the splits train and test, `short` only train."""
    (folder / "main").mkdir(parents=True)
    (folder / "README.md").write_text(CONFIGS)
    for path, question in (("main/train", "1+1"), ("main/test", "2+2"), ("short", "3+3")):
        row = json.dumps({"question": question, "answer": "#### 4"})
        (folder / f"{path}.jsonl").write_text(row + "\n")
    return folder


def read_from_hub(environment: Mapping[str, str]) -> str:
    """Run code in a new process, which reads its environment at its start; return the output."""
    done = subprocess.run(
        [sys.executable, "-c", READ_HUB],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=deadline(60),
        check=True,
    )
    return done.stdout


def test_an_unreachable_hub_is_reported_within_seconds(tmp_path: Path, no_hub: dict[str, str]):
    began_at = time.monotonic()
    said = read_from_hub({"HF_HUB_CACHE": str(tmp_path), **no_hub})
    assert time.monotonic() - began_at < deadline(20)
    assert said.startswith("bad_data the data set openai/gsm8k cannot be fetched from the hub: ")
    assert ("offline mode is enabled" if "HF_HUB_OFFLINE" in no_hub else "refused") in said
    assert "hf download --repo-type dataset openai/gsm8k" in said


def test_a_previous_download_needs_no_hub(tmp_path: Path, no_hub: dict[str, str]):
    repository = tmp_path / "datasets--openai--gsm8k"
    commit = "0" * 40
    make_dataset(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    said = read_from_hub({"HF_HUB_CACHE": str(tmp_path), **no_hub})
    assert said == "{'question': '1+1', 'answer': '#### 4'}\n"


def test_a_data_set_of_the_hub_is_read_from_its_own_files_alone(tmp_path: Path):
    """A snapshot fetched by the hub's own client; its README.md names a file of the server."""
    secret = tmp_path / "server.json"
    secret.write_text('{"question": "canary", "answer": "1"}')
    row = b'{"question": "1+1", "answer": "2"}\n'
    declared = "---\nconfigs:\n- {{config_name: main, data_files: {}}}\n---\n"
    good = {"README.md": declared.format("'*.jsonl'").encode(), "a.jsonl": row, "code.py": b""}
    bad = {**good, "README.md": declared.format(f"'{secret}'").encode()}
    for files, said in ((good, "1+1"), (bad, "only files inside the data set are read")):
        with serving_hub({"datasets/openai/gsm8k": files}) as hub:
            cache = str(tmp_path / said)
            answer = read_from_hub({"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": cache})
        assert said in answer
        assert "canary" not in answer
        assert any(path.endswith("/a.jsonl") for path in hub.asked)
        assert not any(path.endswith("/code.py") for path in hub.asked)


def test_configurations_and_splits_are_chosen_as_on_the_hub(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    source = {"source": str(make_dataset(tmp_path / "sums")), "answer_after": "####"}
    data = Data.model_validate(
        {
            "train": [
                {**source, "config": "main"},
                {**source, "config": "main", "split": "test"},
                {**source, "config": "short"},
            ],
            "eval": [{**source, "config": "main"}],
        }
    )
    training = load_prompts(data.train_sources, data=data, tokenizer=tokenizer, split="train")
    assert [(prompt.source, prompt.text, prompt.answer) for prompt in training.prompts] == [
        ("sums", "1+1", "4"),
        ("sums-2", "2+2", "4"),
        ("sums-3", "3+3", "4"),
    ]
    held_out = load_prompts(data.eval_sources, data=data, tokenizer=tokenizer, split="test")
    assert [prompt.text for prompt in held_out.prompts] == ["2+2"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"config": "main", "split": "dev"}, r"configuration main, split dev .*'train', 'test'"),
        ({"config": "socratic"}, r"configuration socratic, .*'main', 'short'"),
        ({}, r"split train cannot be loaded: Config name is missing.*'main', 'short'"),
    ],
)
def test_an_unknown_configuration_or_split_is_refused_with_the_available_ones(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, chosen: dict[str, str], said: str
):
    folder = str(make_dataset(tmp_path / "sums"))
    data = Data.model_validate({"train": [{"source": folder, **chosen}]})
    with pytest.raises(RunError, match=said) as caught:
        load_prompts(data.train_sources, data=data, tokenizer=tokenizer, split="train")
    assert caught.value.code == "bad_data"


def test_the_mixed_example_keeps_its_shares(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(EXAMPLES)
    spec = load_spec(EXAMPLES / "mixed.yaml")
    loaded = load_prompts(
        spec.data.train_sources, data=spec.data, tokenizer=tokenizer, split="train"
    )
    assert [(source.name, source.num_prompts) for source in loaded.sources] == [
        ("arithmetic", 4096),
        ("own", 8),
    ]
    drawn = PromptSampler(loaded.sources, spec.seed).take(spec.algorithm.prompts_per_step)
    assert [loaded.prompts[index].source for index in drawn].count("own") == 4


@pytest.mark.skipif(GSM8K is None, reason="DUET_GSM8K is not set")
def test_gsm8k_is_the_same_from_jsonl_from_parquet_and_from_a_hub_folder(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    path = Path(str(GSM8K)) / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "train.parquet")
    folder = tmp_path / "gsm8k"
    folder.mkdir()
    shutil.copy(path, folder)

    sources = [str(path), str(tmp_path / "train.parquet"), str(folder)]
    data = Data.model_validate(
        {
            "train": [{"source": source} for source in sources],
            "answer_after": "####",
            "max_prompt_tokens": 512,
            "too_long": "cut_left",
        }
    )
    loaded = load_prompts(data.train_sources, data=data, tokenizer=tokenizer, split="train")
    assert [(source.name, source.num_prompts) for source in loaded.sources] == [
        ("train", 7473),
        ("train-2", 7473),
        ("gsm8k", 7473),
    ]
    contents = [
        [(prompt.text, prompt.answer, prompt.token_ids) for prompt in loaded.prompts[start:][:7473]]
        for start in (0, 7473, 2 * 7473)
    ]
    assert contents[0] == contents[1] == contents[2]
    assert loaded.prompts[0].answer == "72"
    too_long = sum(len(row["question"].encode()) > 512 for row in rows)
    assert too_long > 0
    assert loaded.num_too_long == 3 * too_long
    assert max(len(prompt.token_ids) for prompt in loaded.prompts) == 512
