"""The hub's client in a bad environment: what is broken is named, earlier downloads are used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import serving_hub

READ = """
import os, sys
from grpo.data import hub
from grpo.errors import RunError
from grpo.failure import describe_failure
from grpo.runtime.direct_loopback import keep_loopback_direct
from grpo.spec.data import DataSource

hub.ANSWER_SECONDS = 2.0
environment = dict(os.environ)
for line in sys.stdin.read().splitlines():
    os.environ.clear()
    os.environ.update(environment)
    name, _, value = line.partition("=")
    if name:
        os.environ[name] = value
    keep_loopback_direct(os.environ)
    from huggingface_hub.utils import close_session
    close_session()
    try:
        print(next(hub.read_hub(DataSource(source=sys.argv[1]), split="train")).fields)
    except RunError as error:
        print(error.code, error.message)
        output = describe_failure(error)["traceback"]
        assert not any(word in output for word in ("canary", "127.0.0.1", "nonexistent")), output
"""
HARMLESS = ["A=1", "NO_PROXY=http://[", "no_proxy=[::1"]
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
BROKEN = {
    "HTTP_PROXY=http://127.0.0.1:0x": "HTTP_PROXY cannot be used: ",
    "ALL_PROXY=socks5://me:canary@127.0.0.1:9": "ALL_PROXY cannot be used: ",
    "all_proxy=socks9://me:a/canary@127.0.0.1:9": "all_proxy cannot be used: ",
    "SSL_CERT_FILE=/nonexistent/ca.pem": "SSL_CERT_FILE cannot be used: ",
    "HTTP_PROXY=http://me:canary@127.0.0.1:9": "(through the proxy of HTTP_PROXY)",
}


def read(name: str, endpoint: str, cache: Path, lines: list[str]) -> list[str]:
    """Return for each variable set the data set's first row, or the reason why it is not read."""
    known = {key: value for key, value in os.environ.items() if key.upper() not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", READ, name],
        env={**known, "HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache)},
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "canary" not in done.stdout
    return done.stdout.splitlines()


def test_what_breaks_the_hub_is_named_in_one_sentence(tmp_path: Path):
    found = read("owner/rows", "http://hub.example", tmp_path, list(BROKEN))
    for told, answer in zip(BROKEN.values(), found, strict=True):
        assert answer.startswith("bad_data the data set owner/rows cannot be fetched from the hub:")
        assert told in answer
        assert not any(word in answer for word in ("127.0.0.1", "hub.example", "nonexistent"))


def test_what_was_fetched_before_is_used_and_a_refusal_says_what_to_set(tmp_path: Path):
    with serving_hub({"datasets/owner/rows": {"train.jsonl": b'{"a": 1}\n'}}) as hub:
        found = read("owner/rows", hub.url, tmp_path, [*HARMLESS, *BROKEN])
        hub.token = "hf_x"
        (refused,) = read("owner/rows", hub.url, tmp_path / "other", ["A=1"])
        (missing,) = read("owner/nothing", hub.url, tmp_path / "other", ["A=1"])
    assert found == ["{'a': 1}"] * len([*HARMLESS, *BROKEN])
    for answer in (refused, missing):
        assert "private or gated: set the project's secret HF_TOKEN" in answer


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://localhost:9"])
def test_the_loopback_is_reached_without_a_proxy(tmp_path: Path, endpoint: str):
    (answer,) = read("owner/rows", endpoint, tmp_path, ["A=1"])
    assert "proxy" not in answer


def test_a_cache_that_cannot_be_written_is_called_that():
    """A user without a home folder has such a cache."""
    with serving_hub({"datasets/owner/rows": {"train.jsonl": b'{"a": 1}\n'}}) as hub:
        for cache in (Path("/proc/nowhere/hub"), Path("/proc/cache")):
            (answer,) = read("owner/rows", hub.url, cache, ["A=1"])
            assert "the cache cannot be written (No such file or directory)" in answer
            assert "/proc/" not in answer
            assert "set HF_HOME" in answer
