"""S3 with proxies, private authorities and all kinds of credentials: works, or reports why not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from grpo.runtime.direct_loopback import keep_loopback_direct
from store.artifacts.s3 import S3Artifacts
from store.artifacts.s3_failure import failure_of
from store.errors import ArtifactError, ArtifactsAway, ArtifactsRefused
from tests.s3 import BUCKET, S3Server
from tests.tls import make_authority, tls_before

NOWHERE = "http://127.0.0.1:9"
ELSEWHERE = "http://192.0.2.1:9000"  # of the documentation's network: nobody's
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
AWS = ("AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
BROKEN = [
    *({name: NOWHERE} for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY")),
    *({name: "socks5://127.0.0.1:9"} for name in ("ALL_PROXY", "all_proxy", "HTTP_PROXY")),
    {"HTTP_PROXY": "no address at all"},
    {"HTTP_PROXY": NOWHERE, "NO_PROXY": "[::1"},
    {"ALL_PROXY": NOWHERE, "no_proxy": "http://["},
    {"SSL_CERT_FILE": "/nonexistent/ca.pem", "HTTP_PROXY": NOWHERE},
    {"SSL_CERT_DIR": "/nonexistent"},
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> pytest.MonkeyPatch:
    """Environment for the test server, without this machine's own variables."""
    assert s3.stored() == []
    for name in (*NAMES, *(name.lower() for name in NAMES), *AWS):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def artifacts() -> S3Artifacts:
    return S3Artifacts(f"s3://{BUCKET}/duet", retry_seconds=0.1)


def why_not() -> ArtifactError:
    """Return the one-line reason why the store in the environment cannot be used."""
    with pytest.raises(ArtifactError) as error:
        artifacts().check()
    assert "\n" not in str(error.value)
    return error.value


@pytest.mark.parametrize("variables", BROKEN, ids=str)
def test_a_store_on_the_loopback_is_reached_whatever_the_environment_says(
    environment: pytest.MonkeyPatch, variables: dict[str, str]
):
    for name, value in variables.items():
        environment.setenv(name, value)
    keep_loopback_direct(os.environ)  # as every process does at its start
    artifacts().check()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HTTP_PROXY", NOWHERE, "Connection refused (through the proxy of HTTP_PROXY=127.0.0.1:9)"),
        ("http_proxy", NOWHERE, "Connection refused (through the proxy of http_proxy=127.0.0.1:9)"),
        ("ALL_PROXY", "http://me:canary@127.0.0.1:9/", "(through the proxy of ALL_PROXY=127.0.0"),
        ("ALL_PROXY", "socks5://127.0.0.1:9", "socks5 (through the proxy of ALL_PROXY=127.0.0.1:9"),
    ],
)
def test_a_proxy_that_breaks_it_is_named_without_its_password(
    environment: pytest.MonkeyPatch, name: str, value: str, told: str
):
    environment.setenv("AWS_ENDPOINT_URL", ELSEWHERE)
    environment.setenv(name, value)
    error = why_not()
    assert isinstance(error, ArtifactsAway)
    assert f"{ELSEWHERE} cannot be reached: " in str(error)
    assert told in str(error)
    assert "canary" not in str(error)


def test_a_private_authority_is_trusted_by_awss_variable(
    environment: pytest.MonkeyPatch, s3: S3Server, tmp_path: Path
):
    authority = make_authority(tmp_path)
    with tls_before(s3.port, authority) as url:
        environment.setenv("AWS_ENDPOINT_URL", url)
        error = why_not()
        assert isinstance(error, ArtifactsRefused)
        assert f"the certificate of {url} is not accepted: UnknownIssuer" in str(error)
        assert "AWS_CA_BUNDLE" in str(error)
        other = tmp_path / "other"
        other.mkdir()
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(make_authority(other).ca.read_bytes() + authority.ca.read_bytes())
        for path in (authority.ca, bundle):
            environment.setenv("AWS_CA_BUNDLE", str(path))
            artifacts().check()
        environment.setenv("AWS_CA_BUNDLE", str(other / "ca.pem"))
        assert f"UnknownIssuer (AWS_CA_BUNDLE={other / 'ca.pem'})" in str(why_not())


def test_a_certificate_that_is_not_valid_is_called_one(
    environment: pytest.MonkeyPatch, s3: S3Server, tmp_path: Path
):
    for detail, host, expired in (
        ("ExpiredContext", "127.0.0.1", True),
        ("NotValidForNameContext", "192.0.2.1", False),
    ):
        authority = make_authority(tmp_path, host=host, expired=expired)
        environment.setenv("AWS_CA_BUNDLE", str(authority.ca))
        with tls_before(s3.port, authority) as url:
            environment.setenv("AWS_ENDPOINT_URL", url)
            error = why_not()
        assert isinstance(error, ArtifactsRefused)
        assert f"the certificate of {url} is not accepted: {detail}" in str(error)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        (b"", "No certificates found"),
        (b"rubbish", "No certificates found"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "BadEncoding"),
    ],
)
def test_a_bundle_that_holds_no_certificate_is_named(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, told: str
):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    environment.setenv("AWS_CA_BUNDLE", str(path))
    with pytest.raises(ArtifactsRefused, match=told) as error:
        artifacts()
    assert f"AWS_CA_BUNDLE={path}" in str(error.value)


def test_certificates_of_the_system_that_are_not_there_are_named(
    environment: pytest.MonkeyPatch, s3: S3Server, tmp_path: Path
):
    with tls_before(s3.port, make_authority(tmp_path)) as url:
        environment.setenv("AWS_ENDPOINT_URL", url)
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            with environment.context() as patch:
                patch.setenv(name, "/nonexistent/ca")
                told = f"No CA certificates were loaded from the system ({name}=/nonexistent/ca)"
                assert told in str(why_not())


def test_a_profile_is_refused_by_name_unless_there_are_credentials(
    environment: pytest.MonkeyPatch,
):
    environment.setenv("AWS_PROFILE", "work")
    artifacts().check()
    environment.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ArtifactsRefused, match="AWS_PROFILE is not supported"):
        artifacts()


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken"])
@pytest.mark.parametrize("status", [400, 403])
def test_a_token_that_has_expired_says_what_to_do(
    environment: pytest.MonkeyPatch, status: int, code: str
):
    with answering(status, f"<Error><Code>{code}</Code><Message>so it is</Message></Error>") as url:
        environment.setenv("AWS_ENDPOINT_URL", url)
        environment.setenv("AWS_SESSION_TOKEN", "canary")
        error = why_not()
    assert isinstance(error, ArtifactsRefused)
    assert f"{code}: so it is; AWS_SESSION_TOKEN is read once" in str(error)
    assert "canary" not in str(error)


def test_a_machine_without_credentials_says_which_are_missing():
    kind, words = failure_of(
        "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 3s, "
        "after 2 retries, max_retries: 2, retry_timeout: 1s  - HTTP error: error sending request\n"
        '\nDebug source:\n source: hyper(Connect, Os { code: 113, message: "No route to host" })',
        {},
    )
    assert kind is ArtifactsAway
    assert words == (
        "AWS_ACCESS_KEY_ID is not set, and this machine has no role: "
        "http://169.254.169.254 cannot be reached: No route to host"
    )


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """Yield the address of a server with a fixed response."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Suppress logging."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
