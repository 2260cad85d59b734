"""Proxy of a URL, as named in messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from grpo.runtime.proxies import proxy_for

PROXY = "http://me:canary@proxy.example:3128/"


@pytest.mark.parametrize(
    ("url", "environment", "told"),
    [
        ("https://hub.example/a", {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY=proxy.example:3128"),
        ("https://hub.example", {"https_proxy": PROXY, "HTTPS_PROXY": "x"}, "https_proxy=proxy"),
        ("http://hub.example", {"all_proxy": "socks5://p:1"}, "all_proxy=p:1"),
        ("http://hub.example", {"HTTPS_PROXY": PROXY}, None),
        ("http://hub.example", {"HTTP_PROXY": ""}, None),
        ("http://hub.example", {"HTTP_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ("http://hub.example:8", {"HTTP_PROXY": PROXY, "no_proxy": "a, .example"}, None),
        ("http://hub.example", {"HTTP_PROXY": PROXY, "NO_PROXY": "b.example"}, "HTTP_PROXY="),
        ("http://myhub.example", {"HTTP_PROXY": PROXY, "NO_PROXY": "hub.example"}, "HTTP_PROXY="),
        ("http://10.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://[::1]:9", {"HTTP_PROXY": PROXY, "NO_PROXY": "::1"}, None),
        ("http://11.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8,[::1"}, "HTTP_PROXY="),
    ],
)
def test_a_proxy_is_named_without_its_password(
    url: str, environment: dict[str, str], told: str | None
):
    found = proxy_for(url, environment)
    assert (found or "").startswith(told or "")
    assert (found is None) is (told is None)
    assert "canary" not in (found or "")


PASSWORDS = some.text(some.characters(codec="ascii", categories=["L", "N", "P", "S"]))


@given(user=PASSWORDS, password=PASSWORDS)
@settings(max_examples=50, deadline=None)
def test_no_password_of_any_characters_is_told(user: str, password: str):
    address = f"http://{user}:{password}@proxy.example:3128/"
    found = proxy_for("http://hub.example", {"http_proxy": address})
    assert found == "http_proxy=proxy.example:3128"
