"""Limit on concurrent requests for costly work."""

import pytest

from api.errors.problems import Problem
from api.limits.concurrency import ConcurrencyLimit


def test_a_request_without_a_slot_is_refused_with_a_retry_time_until_one_is_free():
    limit = ConcurrencyLimit(2, code="busy", busy="the server is busy", retry_seconds=4.0)
    with limit.take():
        with limit.take(), pytest.raises(Problem) as refused, limit.take():
            pass
        assert (refused.value.status, refused.value.code) == (503, "busy")
        assert refused.value.detail == "the server is busy: retry shortly"
        assert refused.value.headers == {"Retry-After": "4"}
        with limit.take():
            pass


def test_a_slot_is_free_again_after_a_failure():
    limit = ConcurrencyLimit(1, code="busy", busy="the server is busy", retry_seconds=4.0)
    with pytest.raises(ZeroDivisionError), limit.take():
        raise ZeroDivisionError
    with limit.take():
        pass
