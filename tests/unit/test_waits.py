"""Waits in tests scale with the machine."""

import pytest

from tests.machine import slowness
from tests.waiting import MARGIN, deadline, wait_until


def test_a_deadline_grows_with_the_machines_slowness_and_leaves_room_for_other_work():
    assert slowness() >= 1
    assert deadline(2) == pytest.approx(2 * MARGIN * slowness())


def test_a_wait_that_is_in_vain_says_what_it_is_told():
    with pytest.raises(AssertionError, match="three jobs wait"):
        wait_until(lambda: False, seconds=0.01, told=lambda: "three jobs wait")
