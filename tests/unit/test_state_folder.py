"""The state folder of a local Duet: its lock, and whether it is usable."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from duet.discovery import Server
from duet.errors import Refused
from duet.local.state import InUse, State


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file"


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "state"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def a_broken_link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "nowhere")
    return folder / "link"


def a_loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop" / "state"


def with_a_folder_for_a_lock(folder: Path) -> Path:
    (folder / "state" / "lock").mkdir(parents=True)
    return folder / "state"


def with_a_file_for_its_logs(folder: Path) -> Path:
    (folder / "state").mkdir()
    (folder / "state" / "logs").write_text("")
    return folder / "state"


def not_writable(folder: Path) -> Path:
    return Path("/proc/duet")


SHAPES = [
    a_file,
    below_a_file,
    too_long,
    a_broken_link,
    a_loop,
    with_a_folder_for_a_lock,
    with_a_file_for_its_logs,
    not_writable,
]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_folder_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, shape: Callable[[Path], Path]
):
    folder = shape(tmp_path)
    state = State(folder)
    with pytest.raises(Refused, match=r"cannot be used .*--dir") as refused, state.locked():
        pass
    assert str(folder) in str(refused.value)
    with pytest.raises(Refused):
        assert state.running


def test_one_process_has_the_folder(tmp_path: Path):
    state = State(tmp_path / "state")
    assert not state.running
    with state.locked():
        assert state.running
        with pytest.raises(InUse, match=f"process {os.getpid()}"), state.locked():
            pass
    assert not state.running


def test_the_port_is_kept_while_it_runs_and_after(tmp_path: Path):
    state, server = State(tmp_path), Server("http://127.0.0.1:4711", "duet_key")
    assert state.read_port() is None
    state.write_server(server, {})
    assert state.read_port() == 4711
    state.write_stopped(server)
    assert (state.read_port(), state.read_key()) == (4711, "duet_key")


def test_the_key_of_secrets_is_made_once_and_its_owners_alone(tmp_path: Path):
    key = State(tmp_path).secrets_key()
    assert Fernet(key).decrypt(Fernet(State(tmp_path).secrets_key()).encrypt(b"a")) == b"a"
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600
