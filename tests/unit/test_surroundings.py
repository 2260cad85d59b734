"""Proxies and certificates from the environment, and a client's use of them."""

from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duet import Client
from duet.client.surroundings import connection_options, is_loopback, proxy_of
from duet.errors import Refused, Unreachable
from grpo.runtime.direct_loopback import keep_loopback_direct
from tests.service.receiver import receiving

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
NOWHERE = "http://127.0.0.1:9"
BROKEN = [
    {"HTTP_PROXY": NOWHERE},
    {"http_proxy": NOWHERE},
    {"ALL_PROXY": NOWHERE},
    {"all_proxy": "socks5://127.0.0.1:9"},
    {"HTTPS_PROXY": "no address at all"},
    {"HTTP_PROXY": "http://127.0.0.1:0x"},
    {"NO_PROXY": "[::1"},
    {"no_proxy": "http://["},
    {"SSL_CERT_FILE": "/nonexistent/ca.pem"},
    {"SSL_CERT_DIR": "/nonexistent"},
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Environment without this machine's own variables."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("variables", BROKEN, ids=str)
def test_a_server_on_the_loopback_is_reached_with_any_environment(
    environment: pytest.MonkeyPatch, variables: dict[str, str]
):
    with receiving() as receiver:
        for name, value in variables.items():
            environment.setenv(name, value)
        with httpx.Client(**connection_options(receiver.url)) as client:
            assert client.post(receiver.url, json={}).is_success
    with (
        Client("http://localhost:9", "duet_key", max_retries=0) as client,
        pytest.raises(Unreachable, match="is `duet up` running"),
    ):
        client.jobs.get("job_1")


@pytest.mark.parametrize(
    ("url", "variables"),
    [
        ("http://duet.example", {"ALL_PROXY": "socks9://127.0.0.1:9"}),
        ("http://duet.example", {"HTTP_PROXY": "http://127.0.0.1:0x"}),
        ("https://duet.example", {"SSL_CERT_FILE": "/nonexistent/ca.pem"}),
        ("https://localhost", {"SSL_CERT_FILE": "/nonexistent/ca.pem"}),
    ],
    ids=str,
)
def test_a_variable_that_cannot_be_used_is_named(
    environment: pytest.MonkeyPatch, url: str, variables: dict[str, str]
):
    ((name, value),) = variables.items()
    environment.setenv(name, value)
    with pytest.raises(Refused, match=f"{name}={value} cannot be used"):
        Client(url, "duet_key")


def test_a_proxy_that_does_not_answer_is_named(environment: pytest.MonkeyPatch):
    environment.setenv("HTTP_PROXY", NOWHERE)
    with (
        Client("http://duet.example", "duet_key", max_retries=0) as client,
        pytest.raises(Unreachable, match=f"through the proxy {NOWHERE} .*NO_PROXY"),
    ):
        client.jobs.get("job_1")
    environment.setenv("NO_PROXY", "duet.example")
    assert proxy_of("http://duet.example") is None


@pytest.mark.parametrize(
    "host",
    ["localhost", "duet.localhost", "127.0.0.1", "127.9.9.9", "127.1", "::1", "::ffff:127.0.0.1"],
)
def test_the_loopbacks_spellings(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "10.0.0.1", "localhost.example", "127.example", "::2", "ü"])
def test_other_hosts_are_not_the_loopback(host: str):
    assert not is_loopback(host)


@given(
    st.dictionaries(
        st.sampled_from(["no_proxy", "NO_PROXY"]),
        st.lists(st.sampled_from(["a.example", " .b.example ", "10.0.0.0/8", "", "::1"])).map(
            ",".join
        ),
    )
)
def test_the_loopback_is_added_to_what_is_excluded(environment: dict[str, str]):
    before = {host.strip() for value in environment.values() for host in value.split(",")}
    keep_loopback_direct(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"]
    after = environment["no_proxy"].split(",")
    assert set(after) == (before | {"localhost", "127.0.0.1", "::1"}) - {""}
    assert len(after) == len(set(after))
    again = dict(environment)
    keep_loopback_direct(again)
    assert again == environment


def test_without_a_proxy_nothing_is_changed():
    environment = {"no_proxy": "*", "OTHER": "1"}
    keep_loopback_direct(environment)
    assert environment == {"no_proxy": "*", "OTHER": "1"}


def test_a_certificate_of_ones_own_is_taken(environment: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "empty.pem").write_text("")
    environment.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(Refused, match=r"SSL_CERT_FILE=.*cannot be used"):
        connection_options("https://duet.example")
