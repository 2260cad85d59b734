"""The worker's smaller parts."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from store.jobs.outcomes import Completed, Failed, Stopped
from tests.waiting import deadline, wait_until
from worker.attempt.outcome import Ending, outcome_of
from worker.attempt.record_tail import RecordTail
from worker.processes import end_leftovers, group_members, started_at
from worker.slots import Slot, Slots, slots_for

LINE = '{"n": %d, "kind": "metric", "step": 1, "at": "2026-01-01T00:00:00Z", "payload": {}}\n'


def test_records_are_read_once_whole_and_in_order(tmp_path: Path):
    path = tmp_path / "records.jsonl"
    tail = RecordTail(path)
    assert tail.read() == []
    path.write_text(LINE % 1 + (LINE % 2)[:20])
    assert [entry.n for entry in tail.read()] == [1]
    assert tail.read() == []
    path.write_text(LINE % 1 + LINE % 2 + LINE % 3)
    assert [entry.n for entry in tail.read()] == [2, 3]


def test_a_record_longer_than_a_block_is_read_whole(tmp_path: Path):
    path = tmp_path / "records.jsonl"
    text = "x" * 3_000_000
    path.write_text(LINE.replace("{}", '{"text": "%s"}' % text) % 1 + LINE % 2)  # noqa: UP031
    tail = RecordTail(path)
    (long,) = tail.read()
    assert long.payload == {"text": text}
    assert not tail.at_end
    assert [entry.n for entry in tail.read()] == [2]
    assert tail.at_end


def test_a_line_separator_within_a_text_does_not_end_a_record(tmp_path: Path):
    path = tmp_path / "records.jsonl"
    path.write_text(LINE.replace("{}", '{"text": "a\u2028b\x85c"}') % 1)
    (entry,) = RecordTail(path).read()
    assert entry.payload == {"text": "a\u2028b\x85c"}


def test_a_complete_line_that_is_not_a_record_is_an_error(tmp_path: Path):
    (tmp_path / "records.jsonl").write_text("garbage\n")
    with pytest.raises(ValueError, match="garbage"):
        RecordTail(tmp_path / "records.jsonl").read()


@pytest.mark.parametrize(
    ("said", "exit_code", "ended_by_us", "expected"),
    [
        ({"outcome": "completed"}, 0, False, Completed),
        ({"outcome": "completed"}, 0, True, Completed),
        ({"outcome": "stopped"}, 0, True, Stopped),
        (None, -9, True, Stopped),
        (None, -15, True, Stopped),
        (None, -9, False, Failed),
        (None, 0, False, Failed),
    ],
)
def test_how_a_trainer_ended_decides_how_its_attempt_did(
    said: dict | None, exit_code: int, ended_by_us: bool, expected: type
):
    assert isinstance(outcome_of(Ending(said, exit_code, ended_by_us)), expected)


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("loading\nTypeError: bad operand\n\n  \n", "TypeError: bad operand"),
        ("one line, no newline", "one line, no newline"),
        ("a\x1b[31m red \u202e line\n", "a [31m red   line"),
        ("x" * 5_000, "x" * 300 + "…"),
    ],
)
def test_a_crash_shows_the_last_line_of_the_log(log: str, shown: str):
    for exit_code in (1, 2, -9, -11):
        outcome = outcome_of(Ending(None, exit_code, ended_by_us=False, log_tail=log))
        assert isinstance(outcome, Failed)
        assert f'"{shown}"' in outcome.error["message"]
        assert outcome.retryable is (exit_code != 2)


def test_each_gpu_is_a_slot_and_a_machine_without_has_one():
    assert slots_for(()) == [Slot(())]
    assert slots_for(("0", "3")) == [Slot(("0",)), Slot(("3",))]
    by_bus = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # as nvidia-smi counts; CUDA: fastest first
    assert slots_for(("0", "3"))[1].environment == {"CUDA_VISIBLE_DEVICES": "3", **by_bus}
    assert slots_for(())[0].environment == {"CUDA_VISIBLE_DEVICES": "", **by_bus}


def test_a_slot_is_held_by_one_job_and_then_passed_to_the_next():
    slots = Slots([Slot(("0",))])
    got: list[Slot | None] = []

    def wait_for_one() -> None:
        with slots.take(seconds=20) as slot:
            got.append(slot)

    with slots.take(seconds=0) as first:
        assert first == Slot(("0",))
        with slots.take(seconds=0) as second:
            assert second is None
        waiting = threading.Thread(target=wait_for_one)
        waiting.start()
    waiting.join(deadline(20))
    assert got == [Slot(("0",))]


def test_the_rest_of_a_process_group_is_ended():
    script = "sleep 600 & sleep 600 & wait"
    leader = subprocess.Popen(["bash", "-c", script], process_group=0)
    wait_until(lambda: len(group_members(leader.pid)) == 3)
    started = started_at(leader.pid)
    assert started is not None
    assert end_leftovers(leader.pid, started)
    assert group_members(leader.pid) == []
    leader.wait()


def test_children_of_a_dead_group_leader_are_ended():
    script = "sleep 600 & read -r"
    leader = subprocess.Popen(["bash", "-c", script], process_group=0, stdin=subprocess.PIPE)
    wait_until(lambda: len(group_members(leader.pid)) == 2)
    started = started_at(leader.pid)
    assert started is not None
    leader.communicate(b"\n")
    assert len(group_members(leader.pid)) == 1
    assert end_leftovers(leader.pid, started)
    assert group_members(leader.pid) == []


def test_a_younger_process_with_the_same_id_is_not_touched():
    with subprocess.Popen(["sleep", "600"], process_group=0) as process:
        started = started_at(process.pid)
        assert started is not None
        assert not end_leftovers(process.pid, started - 1)
        assert process.poll() is None
        process.kill()


def test_the_worker_loads_no_torch():
    script = "import sys, worker.ops, worker.run; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
