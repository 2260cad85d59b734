"""Limits of calls to services: dates that no calendar has, slow readers, shared scores."""

import socket
import threading
import time
from contextlib import suppress

import httpcore
import pytest

from grpo.net.bounded_backend import BoundedBackend
from grpo.net.post import HttpAnswer
from grpo.rewards.reward import Case
from grpo.rewards.service.calls import _asked_wait
from grpo.rewards.service.service_reward import ServiceReward
from grpo.spec.resolve import resolve
from tests.waiting import deadline

NO_DATES = (
    "Mon, 01 Jan 99999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 2027 00:00:00 +99999999999999999999",
    "Mon, 01 Jan 2027 99999999999999999999999:00:00 GMT",
)


@pytest.mark.parametrize("wait", NO_DATES)
def test_a_date_to_retry_after_that_no_calendar_has_counts_as_none(wait: str):
    assert _asked_wait(HttpAnswer(429, {"retry-after": wait}, b"")) == 0


def test_two_rewards_of_one_service_do_not_share_scores():
    """The service is sent the reward's name, and may score by it."""
    written = {"type": "http", "url": "https://a.example/"}
    rewards = resolve({"rewards": [{**written, "name": name} for name in ("style", "facts")]})
    case = Case("18", 2, "18", {})
    keys = set()
    for reward in rewards.rewards:
        assert isinstance(reward, ServiceReward)
        keys |= {asked.key for asked in reward.questions([case])}
    assert len(keys) == 2


def test_sending_to_a_slow_reader_ends_at_the_deadline():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def read_slowly() -> None:
            taken, _ = listener.accept()
            with taken, suppress(OSError):
                while taken.recv(4096):
                    time.sleep(0.05)

        reader = threading.Thread(target=read_slowly)
        reader.start()
        backend = BoundedBackend(httpcore.SyncBackend(), time.monotonic() + 0.5)
        stream = backend.connect_tcp("127.0.0.1", listener.getsockname()[1])
        began = time.monotonic()
        with pytest.raises(httpcore.TimeoutException):
            stream.write(bytes(64 << 20))
        assert time.monotonic() - began < deadline(2)
        stream.close()
        reader.join()
