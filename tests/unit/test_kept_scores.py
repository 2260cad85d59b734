"""Kept scores: found by their key, bounded, the same bytes for the same scores."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo.rewards.reward import Case
from grpo.rewards.service.kept_scores import FILE, KeptScores, kept_for_now, write_scores
from grpo.rewards.service.question import question


def key(number: int) -> str:
    return f"{number:064x}"


def test_scores_are_found_again_and_never_replaced(tmp_path: Path):
    with closing(KeptScores(tmp_path / FILE)) as kept:
        kept.keep({key(1): 0.1, key(2): -3.5})
        kept.keep({key(1): 0.9})
    with closing(KeptScores(tmp_path / FILE)) as kept:
        assert kept.find([key(n) for n in range(2000)]) == {key(1): 0.1, key(2): -3.5}


def test_the_oldest_are_removed_first(tmp_path: Path):
    with closing(KeptScores(tmp_path / FILE, most=3)) as kept:
        for number in range(5):
            kept.keep({key(number): float(number)})
        assert kept.find([key(n) for n in range(5)]) == {key(n): float(n) for n in (2, 3, 4)}


def test_a_copy_has_the_same_bytes_whatever_came_before(tmp_path: Path):
    with closing(KeptScores(None)) as one, closing(KeptScores(None, most=2)) as other:
        other.keep({key(9): 0.5})
        for kept in (one, other):
            kept.keep({key(2): 1 / 3, key(1): 0.25})
        write_scores(tmp_path / "one", one.snapshot())
        before = other.snapshot()
        other.keep({key(3): 0.75})
        write_scores(tmp_path / "other", before)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    with kept_for_now(tmp_path) as none:
        assert none.find([key(1)]) == {}


def test_a_file_that_is_cut_off_or_foreign_is_left_out(tmp_path: Path):
    with closing(KeptScores(tmp_path / "whole")) as kept:
        kept.keep({key(n): 1.0 for n in range(1000)})
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:9000])
    (tmp_path / "foreign").write_bytes(b"no database" * 1000)
    (tmp_path / "empty").write_bytes(b"")
    with closing(KeptScores(None)) as kept:
        kept.add_from([tmp_path / name for name in ("foreign", "empty", "cut", "absent", "whole")])
        assert len(kept.find([key(n) for n in range(1000)])) == 1000


def test_a_killed_process_leaves_what_it_has_kept(tmp_path: Path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from grpo.rewards.service.kept_scores import KeptScores\n"
        "KeptScores(Path(sys.argv[1])).keep({'ab' * 32: 0.5}); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / FILE)], check=False, env=os.environ)
    with closing(KeptScores(tmp_path / FILE)) as kept:
        assert kept.find(["ab" * 32]) == {"ab" * 32: 0.5}


CASE = Case("18", 2, "18", {"a": 1}, messages=({"role": "user", "content": "9*2="},))


@pytest.mark.parametrize(
    "other",
    [
        Case("19", 2, "18", {"a": 1}, messages=CASE.messages),
        Case("18", 2, "17", {"a": 1}, messages=CASE.messages),
        Case("18", 2, "18", {"a": 2}, messages=CASE.messages),
        Case("18", 2, "18", {"a": "1"}, messages=CASE.messages),
        Case("18", 2, "18", {"a": True}, messages=CASE.messages),
        Case("18", 2, "18", {"a": 1}, messages=({"role": "system", "content": "9*2="},)),
        Case("18", 2, "18", {"a": 1}),
    ],
)
def test_a_key_tells_questions_apart(other: Case):
    assert question({"url": "u"}, CASE).key != question({"url": "u"}, other).key


def test_a_key_depends_on_the_reward_and_not_on_the_step():
    assert question({"url": "u"}, CASE).key != question({"url": "v"}, CASE).key
    later = Case("18", 2, "18", {"a": 1}, messages=CASE.messages, step=9)
    assert question({"url": "u"}, CASE).key == question({"url": "u"}, later).key


@settings(max_examples=30)
@given(st.text(), st.text())
def test_no_texts_share_a_key_by_where_one_ends(one: str, two: str):
    split = question({}, Case(one, 0, two))
    joined = question({}, Case(one + two, 0, ""))
    assert (split.key == joined.key) == (two == "")
