"""A missing model is reported within seconds, by name, with what to do."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grpo.errors import RunError
from grpo.models.locate import locate_model, open_folder
from grpo.spec.model import Model
from tests.waiting import deadline

ASK = """
import sys
from grpo.errors import RunError
import grpo.models.locate as model_source
from grpo.spec.model import Model
model_source.ANSWER_SECONDS = 1.0
for name in sys.argv[1:]:
    try:
        print(model_source.locate_model(Model(source=name)).path)
    except RunError as error:
        print(error.code, error.message, error.hint, sep="\\n")
"""


def ask(endpoint: str, home: Path, *names: str) -> str:
    """Run code in a new process, since the hub's client reads settings at import."""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", ASK, *names],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_hub_that_never_answers_is_given_up_in_seconds(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        began_at = time.monotonic()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, message, hint = ask(url, tmp_path, "someone/some-model").split("\n", 2)
    assert time.monotonic() - began_at < deadline(60)  # most of it imports
    assert code == "model_unusable"
    assert "someone/some-model" in message
    assert "cannot be fetched from the hub" in message
    assert "hf download someone/some-model" in hint


def downloaded(home: Path, name: str, **files: str) -> Path:
    """A model in the hub client's cache."""
    repository = home / f"hub/models--someone--{name}"
    snapshot = repository / "snapshots/0123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0123")
    for file, content in files.items():
        (snapshot / file).write_text(content)
    return snapshot


def test_without_the_hub_a_model_downloaded_before_is_used_but_no_adapter_of_a_folder(
    tmp_path: Path,
):
    whole = {"config.json": "{}", "model.safetensors": ""}
    snapshot = downloaded(tmp_path, "some-model", **whole)
    config = json.dumps({"base_model_name_or_path": str(snapshot)})
    adapter = {"adapter_config.json": config, "adapter_model.safetensors": ""}
    downloaded(tmp_path, "adapter", **adapter)
    found, code, refused, _ = ask(
        "http://127.0.0.1:1", tmp_path, "someone/some-model", "someone/adapter"
    ).splitlines()
    assert found == str(snapshot)
    assert code == "model_unusable"
    assert refused.startswith("the adapter someone/adapter has the base '")
    assert refused.endswith("which is not a hub id")


def test_a_path_that_is_not_there_is_not_asked_for_at_the_hub(tmp_path: Path):
    with pytest.raises(RunError, match=f"there is no folder {tmp_path}/nowhere"):
        locate_model(Model(source=str(tmp_path / "nowhere")))


def test_a_folder_whose_index_leads_out_is_not_loaded(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    index = {"weight_map": {"a": "../secret.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(
        RunError, match=r"refers to '\.\./secret.safetensors', which is not a file in the folder"
    ):
        locate_model(Model(source=str(tmp_path)))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("tokenizer_config.json", {"merges_file": "/etc/passwd"}, "refers to '/etc/passwd'"),
        ("config.json", {"auto_map": {"AutoConfig": "code.Config"}}, "refers to custom code"),
        ("config.json", {"speculators_config": {"verifier": {}}}, "speculators_config"),
        ("adapter_config.json", {"peft_type": "LOHA"}, "only LORA is supported"),
    ],
)
def test_a_folder_whose_files_lead_out_is_not_loaded(
    tmp_path: Path, file: str, content: dict[str, object], said: str
):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(RunError, match=said) as refused:
        locate_model(Model(source=str(tmp_path)))
    assert refused.value.code == "model_unusable"


def test_a_hub_models_links_and_names_stay_in_its_part_of_the_cache(tmp_path: Path):
    linked = downloaded(tmp_path, "linked", **{"model.safetensors": "", "config.json": "{}"})
    (linked / "vocab.json").symlink_to("/etc/passwd")
    named = json.dumps({"vocab_file": "../../../other"})
    downloaded(tmp_path, "named", **{"config.json": "{}", "tokenizer_config.json": named})
    said = ask("http://127.0.0.1:1", tmp_path, "someone/linked", "someone/named")
    assert "'vocab.json' in it is a symbolic link that points outside the folder" in said
    assert (
        "tokenizer_config.json refers to '../../../other', which is not a file in the folder"
        in said
    )


def test_an_adapter_of_the_hub_has_no_base_of_an_owner_who_is_not_allowed(tmp_path: Path):
    config = {"base_model_name_or_path": "evil/base"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="'evil/base' is a hub model that is not allowed") as refused:
        open_folder(tmp_path, hub_owners={"qwen"})
    assert refused.value.code == "source_not_allowed"
    config = {"base_model_name_or_path": "tiny-arithmetic"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    open_folder(tmp_path, hub_owners={"qwen"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("revision", 1),
        ("revision", ["main"]),
        ("revision", {}),
        ("revision", "../x"),
        ("revision", "x" * 201),
        ("base_model_name_or_path", "x" * 401),
    ],
)
def test_an_adapter_with_an_invalid_base_or_revision_is_unusable(
    tmp_path: Path, field: str, value: object
):
    config = {"base_model_name_or_path": "tiny-arithmetic", field: value}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=f"adapter_config.json has an invalid {field}") as refused:
        open_folder(tmp_path)
    assert refused.value.code == "model_unusable"
