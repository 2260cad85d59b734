"""Dear work that few requests have done at a time."""

import pytest

from api.errors.problems import Problem
from api.limits.concurrency import Places


def test_who_finds_no_place_is_told_when_to_come_again_and_finds_one_once_it_is_free():
    places = Places(2, code="busy", busy="others dig here", retry_seconds=4.0)
    with places.take():
        with places.take(), pytest.raises(Problem) as refused, places.take():
            pass
        assert (refused.value.status, refused.value.code) == (503, "busy")
        assert refused.value.detail == "others dig here: try again in a moment"
        assert refused.value.headers == {"Retry-After": "4"}
        with places.take():
            pass


def test_a_place_is_free_again_after_a_failure():
    places = Places(1, code="busy", busy="others dig here", retry_seconds=4.0)
    with pytest.raises(ZeroDivisionError), places.take():
        raise ZeroDivisionError
    with places.take():
        pass
