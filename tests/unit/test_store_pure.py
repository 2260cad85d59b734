"""The store's pure parts: payloads, superseding, ids, keys, settings."""

import json
from typing import Any
from uuid import UUID

import pytest

from store.access.keys import _checksum, well_formed
from store.ids import decode, encode, new_id
from store.log.log import is_live
from store.log.payloads import UnstorableError, sanitize
from store.settings import Settings

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"text": "a\0b"}, {"text": "a␀b"}),
        ({"text": "\ud83d!"}, {"text": "\\ud83d!"}),
        ({"text": "\U0001f600 é"}, {"text": "\U0001f600 é"}),
        ({"k\0": 1}, {"k␀": 1}),
        ({"a": NAN, "b": 1.5}, {"a": None, "b": 1.5, "nonfinite": ["a"]}),
        ({"clip_ratio/low_mean": -INFINITY}, {"clip_ratio/low_mean": None,
                                              "nonfinite": ["clip_ratio/low_mean"]}),
        (
            {"completions": [{"reward": 1.0}, {"reward": INFINITY}]},
            {"completions": [{"reward": 1.0}, {"reward": None}],
             "nonfinite": ["completions.1.reward"]},
        ),
        ({"a": None, "b": NAN, "nonfinite": ["a"]},
         {"a": None, "b": None, "nonfinite": ["a", "b"]}),
        ({"n": 3, "t": True, "none": None}, {"n": 3, "t": True, "none": None}),
    ],
)  # fmt: skip
def test_a_payload_is_kept_with_nothing_lost_from_sight(
    written: dict[str, Any], kept: dict[str, Any]
):
    assert sanitize(written) == kept
    json.dumps(sanitize(written), allow_nan=False).encode()


def test_a_payload_that_cannot_be_kept_is_refused():
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"deeper": deep}
    with pytest.raises(UnstorableError):
        sanitize(deep)
    with pytest.raises(UnstorableError):
        sanitize({"n": 10**5000})


@pytest.mark.parametrize(
    ("attempt", "step", "live"),
    [
        # Attempt 2 began anew, attempt 3 resumed from step 4.
        (1, None, True),  # a status
        (1, 0, False),  # the evaluation before training, done again by attempt 2
        (1, 3, False),
        (2, 0, True),
        (2, 4, True),  # the checkpoint's own step: attempt 3 goes on behind it
        (2, 5, False),
        (2, None, True),
        (3, 5, True),
        (3, 1, True),
    ],
)
def test_a_record_counts_until_a_later_attempt_begins_before_it(
    attempt: int, step: int | None, live: bool
):
    assert is_live(attempt, step, {1: None, 2: None, 3: 4}) is live


def test_resuming_twice_from_one_checkpoint_supersedes_both_continuations():
    starts = {1: None, 2: 2, 3: 2}
    assert [is_live(1, step, starts) for step in (1, 2, 3)] == [True, True, False]
    assert [is_live(2, step, starts) for step in (3, 4)] == [False, False]
    assert is_live(3, 3, starts)


def test_resuming_from_an_earlier_checkpoint_than_before_supersedes_more():
    starts = {1: None, 2: 4, 3: 2}
    assert [is_live(1, step, starts) for step in (2, 3, 4)] == [True, False, False]


def test_ids_carry_what_they_name_and_sort_by_age():
    first, second = new_id(), new_id()
    assert first < second
    assert first.version == 7
    id = UUID("0198c0de-0000-7000-8000-00000000abcd")
    assert encode("job", id) == "job_0198c0de00007000800000000000abcd"
    assert decode("job", encode("job", id)) == id


@pytest.mark.parametrize(
    "text",
    ["", "job_", "job", "file_0198c0de00007000800000000000abcd",
     "job_0198C0DE00007000800000000000ABCD", "job_0198c0de-0000-7000-8000-00000000abcd",
     "job_0198c0de00007000800000000000abc", "job_\0"],
)  # fmt: skip
def test_an_invalid_id_is_refused(text: str):
    with pytest.raises(ValueError, match="is not a valid id: expected job_"):
        decode("job", text)


def test_a_mistyped_key_is_refused_without_a_query():
    # CRC-32's check value, 0xCBF43926 for "123456789", has the digits 3 45 35 27 22 14 in base 62.
    assert _checksum("123456789") == "3jZRME"
    secret = "a" * 43
    good = f"duet_{secret}{_checksum(secret)}"
    assert well_formed(good)
    for bad in ("", "duet_", good[:-1], good + "0", good.replace("a", "b", 1), "x" + good[1:]):
        assert not well_formed(bad)


def test_settings_come_from_the_environment_under_their_names(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "DATABASE_URL": "postgresql://a/b",
        "REDIS_URL": "redis://a",
        "ARTIFACTS_URL": "file:///a",
        "RUNS_DIR": "/runs",
        "DUET_LEASE_SECONDS": "7",
        "DUET_WORKER_QUEUES": "default, large",
        "CUDA_VISIBLE_DEVICES": "0,3",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    assert (settings.lease_seconds, settings.reaper_seconds) == (7, 10)
    assert (settings.queues, settings.gpus) == (("default", "large"), ("0", "3"))
    monkeypatch.setenv("DUET_SWEEP_SECONDS", "3")
    assert Settings().reaper_seconds == 3  # pyright: ignore[reportCallIssue] - the former name
    monkeypatch.setenv("DUET_REAPER_SECONDS", "4")
    assert Settings().reaper_seconds == 4  # pyright: ignore[reportCallIssue]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert Settings().gpus == ()  # pyright: ignore[reportCallIssue]
    monkeypatch.setenv("DUET_WORKER_GPUS", "1")
    assert Settings().gpus == ("1",)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("named", "visible", "gpus"),
    [
        (None, None, None),
        ("", None, None),  # as a compose file passes on a variable that is not set
        ("", "", ()),  # CUDA's own way to hide all
        (None, "MIG-1, MIG-2", ("MIG-1", "MIG-2")),
        ("none", None, ()),
        ("none", "0,1", ()),
        ("2", "0,1", ("2",)),
        ("all", "0,1", None),
        (None, "0,-1,1", ("0",)),
    ],
)
def test_a_worker_without_a_setting_takes_all_gpus(
    monkeypatch: pytest.MonkeyPatch,
    named: str | None,
    visible: str | None,
    gpus: tuple[str, ...] | None,
):
    addresses = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "ARTIFACTS_URL"), "a://b")
    given = {**addresses, "DUET_WORKER_GPUS": named, "CUDA_VISIBLE_DEVICES": visible}
    for name, value in given.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert Settings().gpus == gpus  # pyright: ignore[reportCallIssue]
