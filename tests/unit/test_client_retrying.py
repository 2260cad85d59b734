"""Retries of the Python client."""

import httpx
import pytest

from duet.client.retry import Patience, pause, pause_after_answer, pause_after_break
from duet.errors import Unreachable


def test_pauses_double_to_eight_seconds_and_differ_by_a_quarter():
    assert [pause(tried, draw=0.0) for tried in (1, 2, 3, 4, 5, 6)] == [0.5, 1, 2, 4, 8, 8]
    assert pause(2, draw=0.5) == 0.875


@pytest.mark.parametrize("status", [429, 503])
def test_a_refused_request_is_retried_after_the_servers_retry_time(status: int):
    asking = httpx.Response(status, headers={"retry-after": "5"})
    assert pause_after_answer(asking, 1, repeatable=False) == 5
    silent = pause_after_answer(httpx.Response(status), 2, repeatable=False)
    assert silent is not None
    assert 0.75 < silent <= 1
    too_long = httpx.Response(status, headers={"retry-after": "60"})
    assert pause_after_answer(too_long, 1, repeatable=True) is None


@pytest.mark.parametrize("status", [408, 502, 504])
def test_a_request_that_may_have_been_applied_is_retried_only_if_idempotent(status: int):
    assert pause_after_answer(httpx.Response(status), 1, repeatable=False) is None
    assert pause_after_answer(httpx.Response(status), 1, repeatable=True) is not None


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 501])
def test_an_answer_that_would_come_again_is_taken(status: int):
    assert pause_after_answer(httpx.Response(status), 1, repeatable=True) is None


def test_a_request_that_did_not_leave_is_sent_again_and_a_wrong_one_is_not():
    refused, broken = httpx.ConnectError("refused"), httpx.ReadError("reset")
    assert pause_after_break(refused, 1, repeatable=False) is not None
    assert pause_after_break(broken, 1, repeatable=False) is None
    assert pause_after_break(broken, 1, repeatable=True) is not None
    assert pause_after_break(httpx.UnsupportedProtocol("ftp"), 1, repeatable=True) is None


def test_patience_ends_when_nothing_has_come_for_so_long():
    now, error = 100.0, Unreachable("away")
    patience = Patience(60, clock=lambda: now)
    assert patience.pause_after(error) == 0
    assert 0.375 < patience.pause_after(error) <= 0.5
    now = 160.0
    assert 0.75 < patience.pause_after(error) <= 1
    patience.renew()
    now = 161.0
    assert patience.pause_after(error) == 0
    now = 222.0
    with pytest.raises(Unreachable, match="away"):
        patience.pause_after(error)
