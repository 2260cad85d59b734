"""Names in a model's files, checked before a library opens them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from grpo.models.model_folder import MAX_CONFIG_BYTES, base_of, check_names
from grpo.runtime.plain_files import FolderRefused, check_links, home_of

OUTSIDE = [
    "/etc/passwd",
    "../secret.json",
    "a/../../secret.json",
    "..",
    "~/secret.json",
    "~root/.ssh/id_rsa",
    "http://127.0.0.1/secret.json",
    "file:///etc/passwd",
    "hf://someone/else/secret.json",
    "\\\\host\\share",
    "C:\\secret",
    ".env",
    "x\0.json",
]
FIELDS = [
    ("tokenizer_config.json", "tokenizer_file"),
    ("tokenizer_config.json", "vocab_file"),
    ("tokenizer_config.json", "merges_file"),
    ("tokenizer_config.json", "added_tokens_file"),
    ("tokenizer_config.json", "chat_template_file"),
    ("tokenizer_config.json", "tokenizer_name_or_path"),
    ("config.json", "transformers_weights"),
    ("config.json", "anything_at_all"),
    ("config.json", "quantization_config.modules.0.path"),
    ("generation_config.json", "assistant_name_or_path"),
    ("processor_config.json", "chat_template_path"),
    ("preprocessor_config.json", "vocab_file"),
    ("special_tokens_map.json", "tokenizer_file"),
    ("modules.json", "0.path"),
    ("params.json", "tokenizer_path"),
    ("hf_quant_config.json", "cache_dir"),
    ("adapter_config.json", "lora_file"),
    ("model.safetensors.index.json", "weight_map.a"),
    ("adapter_model.safetensors.index.json", "weight_map.a"),
]


def nested(field: str, value: Any) -> Any:
    """`a.0.b` as {"a": [{"b": value}]}."""
    name, _, rest = field.partition(".")
    inner = nested(rest, value) if rest else value
    return [inner] if name == "0" else {name: inner}


def put(folder: Path, file: str, content: Any) -> Path:
    (folder / file).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(("file", "field"), FIELDS)
def test_no_file_of_a_model_may_name_an_outside_path(tmp_path: Path, file: str, field: str):
    check_names(put(tmp_path, file, nested(field, "model-1.safetensors")))
    for name in OUTSIDE:
        if field == "anything_at_all" and not name.startswith(("/", "~", "..", "http", "file")):
            continue  # a text like any other
        with pytest.raises(
            FolderRefused, match=f"its {file} refers to .*, which is not a file in the folder"
        ):
            check_names(put(tmp_path, file, nested(field, name)))


@pytest.mark.parametrize(
    ("file", "field", "value"),
    [
        ("config.json", "auto_map", {"AutoModelForCausalLM": "modeling.Model"}),
        ("config.json", "auto_map", {"AutoConfig": "someone/else--configuration.Config"}),
        ("config.json", "text_config.auto_map", {"AutoConfig": "configuration.Config"}),
        ("tokenizer_config.json", "auto_map", ["tokenizer.Tokenizer", None]),
        ("processor_config.json", "auto_map", {"AutoProcessor": "processor.Processor"}),
        ("generation_config.json", "auto_map", "x.Y"),
        ("config.json", "speculators_config", {"verifier": {"name_or_path": "/etc"}}),
        ("tokenizer_config.json", "gguf_file", "model.gguf"),
        ("adapter_config.json", "megatron_config", {"a": 1}),
        ("adapter_config.json", "corda_config", {"cache_file": "x.pt"}),
        ("adapter_config.json", "lora_ga_config", {"cache_file": "x.pt"}),
        ("adapter_config.json", "peft_type", "PROMPT_TUNING"),
        ("adapter_config.json", "peft_type", ["LORA"]),
    ],
)
def test_code_and_other_models_are_not_followed(
    tmp_path: Path, file: str, field: str, value: object
):
    with pytest.raises(FolderRefused, match=f"its {file} "):
        check_names(put(tmp_path, file, nested(field, value)))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {"_name_or_path": "/home/somebody/model", "architectures": ["Qwen2"]}),
        ("config.json", {"text_config": {"_name_or_path": "lmsys/vicuna-7b"}, "auto_map": None}),
        ("tokenizer_config.json", {"name_or_path": "/root/out", "tokenizer_file": None}),
        ("tokenizer_config.json", {"special_tokens_map_file": "/root/.cache/x.json"}),
        ("tokenizer_config.json", {"chat_template": "{{ '/' }}", "pad_token": "../"}),
        ("tokenizer_config.json", {"tokenizer_file": "", "vocab_file": "vocab.json"}),
        ("special_tokens_map.json", {"eos_token": {"content": "</s>"}}),
        ("adapter_config.json", {"base_model_name_or_path": "/models/base", "peft_type": "LORA"}),
        ("adapter_config.json", {"target_modules": ".*\\.(q|v)_proj", "megatron_config": None}),
        ("generation_config.json", {"stop_strings": ["/end"]}),
        ("tokenizer.json", {"model": {"vocab": {"vocab_file": "../x"}}}),
    ],
)
def test_fields_that_no_loader_follows_are_ignored(tmp_path: Path, file: str, content: object):
    check_names(put(tmp_path, file, content))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a": '])
def test_a_config_that_cannot_be_read_is_not_let_pass(tmp_path: Path, content: bytes):
    for file in ("config.json", "adapter_config.json", "x.index.json"):
        (tmp_path / file).write_bytes(content)
        with pytest.raises(FolderRefused, match=f"its {file} cannot be read"):
            check_names(tmp_path)
        (tmp_path / file).unlink()
    (tmp_path / "adapter_config.json").write_bytes(content)
    with pytest.raises(FolderRefused, match="cannot be read"):
        base_of(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "adapter_config.json"])
def test_a_config_longer_than_its_limit_is_refused(tmp_path: Path, file: str):
    (tmp_path / file).write_bytes(b"{}" + b" " * (MAX_CONFIG_BYTES - 2))
    check_names(tmp_path)
    (tmp_path / file).write_bytes(b"{}" + b" " * (MAX_CONFIG_BYTES - 1))
    with pytest.raises(FolderRefused, match=f"its {file} is not a file of at most 1 MiB"):
        check_names(tmp_path)


@given(
    name=some.text(min_size=1, max_size=30)
    | some.lists(some.sampled_from(["..", ".", "a", "", "~", "C:"]), min_size=1).map("/".join)
)
@settings(max_examples=200, deadline=None)
def test_an_accepted_name_resolves_inside_the_folder(
    name: str, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.getbasetemp() / "model"
    folder.mkdir(exist_ok=True)
    try:
        check_names(put(folder, "tokenizer_config.json", {"vocab_file": name}))
    except FolderRefused:
        return
    joined = os.path.normpath(os.path.join(folder, os.path.expanduser(name)))
    assert Path(joined).is_relative_to(folder)


def test_no_link_of_a_snapshot_points_out_of_its_part_of_the_cache(tmp_path: Path):
    repository = tmp_path / "models--someone--model"
    for folder in ("blobs", "snapshots/0123/more"):
        (repository / folder).mkdir(parents=True)
    snapshot = repository / "snapshots/0123"
    (repository / "blobs/0a").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/0a")
    home = home_of(snapshot)
    check_links(snapshot, lambda target: target.is_relative_to(home))
    other = tmp_path / "models--someone--private"
    other.mkdir()
    for place, target in (("vocab.json", "/etc/passwd"), ("more/deep", other), ("up", "../../..")):
        (snapshot / place).symlink_to(target)
        with pytest.raises(
            FolderRefused,
            match=f"'{place}' in it is a symbolic link that points outside the folder",
        ):
            check_links(snapshot, lambda target: target.is_relative_to(home))
        (snapshot / place).unlink()
