"""Checkpoints: complete or absent."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grpo.checkpoint.checkpoint import TrainerState, read_manifest, read_state, write_checkpoint
from grpo.checkpoint.environment import mismatches
from grpo.errors import RunError

STATE = TrainerState(
    step=7,
    num_updates=25,
    num_skipped_updates=3,
    num_rollouts=3584,
    num_tokens=140_000,
    sampler={"epoch": 1, "position": 256},
    evaluation_due=True,
    last_failures=((0, 512), (3, 512)),
)


def write(parent: Path) -> Path:
    def write_weights(folder: Path) -> None:
        (folder / "model.safetensors").write_text("weights")

    return write_checkpoint(
        parent,
        state=STATE,
        environment={"torch": "2.13.0"},
        created_at=datetime(2026, 5, 1, tzinfo=UTC),
        write_files=write_weights,
    )


def test_the_manifest_lists_every_file_with_its_size_and_sha256(tmp_path: Path):
    folder = write(tmp_path / "checkpoints")
    manifest = read_manifest(folder)
    assert folder.name == "step-000007"
    assert manifest["step"] == 7
    assert manifest["created_at"] == "2026-05-01T00:00:00Z"
    assert [entry["path"] for entry in manifest["files"]] == [
        "model.safetensors",
        "trainer_state.json",
    ]
    assert manifest["files"][0] == {
        "path": "model.safetensors",
        "bytes": 7,
        # sha256 of b"weights"
        "sha256": "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c",
    }


def test_the_trainers_state_comes_back_as_it_was(tmp_path: Path):
    assert read_state(write(tmp_path)) == STATE


def test_a_checkpoint_that_could_not_be_written_is_not_there(tmp_path: Path):
    def fill_the_disk(folder: Path) -> None:
        (folder / "model.safetensors").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(
            tmp_path,
            state=STATE,
            environment={},
            created_at=datetime(2026, 5, 1, tzinfo=UTC),
            write_files=fill_the_disk,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["changed", "missing", "manifest", "a key", "format"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str):
    folder = write(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    match damage:
        case "changed":
            (folder / "model.safetensors").write_text("weighty")  # of the same size
        case "missing":
            (folder / "trainer_state.json").unlink()
        case "manifest":
            (folder / "manifest.json").write_text('{"format": 1, "st')
        case "a key":
            (folder / "manifest.json").write_text(
                json.dumps({"g" + k[1:]: manifest[k] for k in manifest})
            )
        case "format":
            (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(RunError) as caught:
        read_manifest(folder)
    expected = "checkpoint_unusable" if damage == "format" else "checkpoint_damaged"
    assert caught.value.code == expected


def test_a_checkpoint_whose_disk_is_away_is_not_called_damaged(tmp_path: Path):
    with pytest.raises(RunError) as caught:
        read_manifest(tmp_path / "not mounted" / "step-000001")
    assert caught.value.code == "checkpoint_unusable"


def test_differences_from_the_checkpoints_environment_are_described():
    then = {"torch": "2.13.0", "num_threads": 2, "engine": "vllm"}
    assert mismatches(then, then) == []
    assert mismatches(then, {**then, "num_threads": 8}) == ["num_threads changed from 2 to 8"]
