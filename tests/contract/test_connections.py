"""Connections are bounded in number, in the size of a request's head, and in time."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.limits import connections
from api.limits.connections import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED
from store.settings import Settings
from tests.contract.conftest import Target
from tests.service.api.conftest import serving
from tests.waiting import deadline, wait_until

GET = b"GET /livez HTTP/1.1\r\nhost: a\r\n"
POST = b"POST /v1/session HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"


@contextlib.contextmanager
def connected(url: httpx.URL | str) -> Iterator[socket.socket]:
    address = httpx.URL(url)
    with socket.create_connection(
        (address.host, address.port or 80), timeout=deadline(30)
    ) as connection:
        yield connection


def answered(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            found += data
    return found


def send(connection: socket.socket, content: bytes) -> int:
    """Return the number of bytes accepted before the server closed the connection."""
    sent = 0
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while sent < len(content):
            sent += connection.send(content[sent : sent + 65536])
    return sent


HEADS = {
    "a long header": GET + b"a: " + b"x" * 8_000_000,
    "a long name": GET + b"x" * 8_000_000,
    "a long address": b"GET /" + b"x" * 8_000_000,
    "a long query": b"GET /livez?" + b"x=1&" * 2_000_000,
    "many headers": GET + b"a: b\r\n" * 1_500_000,
    "many long headers": GET + b"".join(b"a%d: " % n + b"x" * 8000 + b"\r\n" for n in range(1000)),
    "trailers": GET + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 1_000_000,
    "spaces": GET + b"a:" + b" " * 8_000_000,
    "a long cookie": GET + b"cookie: " + b"a=b; " * 1_000_000,
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_an_endless_head_is_cut_off_early(target: Target, head: bytes):
    with connected(target.url) as connection:
        taken = send(connection, head)
        answer = answered(connection)
    assert taken < len(head), "what the kernels hold is less"
    assert not answer or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))


@pytest.mark.parametrize("headers", [
    b"a: " + b"x" * (MAX_HEAD_BYTES + 1) + b"\r\n",
    b"a: b\r\n" * MAX_HEADERS,
    b"".join(b"%05d: x\r\n" % n for n in range(MAX_HEAD_BYTES // 10)),
])  # fmt: skip
def test_a_head_that_is_too_large_is_a_problem(target: Target, headers: bytes):
    with connected(target.url) as connection:
        connection.sendall(GET + headers + b"\r\n")
        answer = answered(connection)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in answer
    assert b"head_too_large" in answer


def test_a_head_of_usual_size_passes(target: Target):
    headers = {f"x-{n}": "v" * 200 for n in range(60)}
    answer = httpx.get(f"{target.url}/livez", params={"a": "b" * 8000}, headers=headers)
    assert answer.status_code in (200, 422)


def test_few_requests_wait_for_an_answer_on_one_connection(target: Target):
    with connected(target.url) as connection:
        connection.sendall((GET + b"\r\n") * 2000)
        answer = answered(connection)
    assert answer.count(b"HTTP/1.1 200") <= MAX_PIPELINED + 1


SILENCES: dict[str, tuple[str, bytes]] = {
    "nothing": ("HEAD_SECONDS", b""),
    "half a line": ("HEAD_SECONDS", b"GET /li"),
    "half a head": ("HEAD_SECONDS", GET + b"a: b\r\n"),
    "half of a second head": ("HEAD_SECONDS", GET + b"\r\n" + GET),
    "line ends": ("HEAD_SECONDS", b"\r\n"),
    "half a body": ("BODY_IDLE_SECONDS", POST + b"content-length: 100\r\n\r\n{"),
    "half a chunk": ("BODY_IDLE_SECONDS", POST + b"transfer-encoding: chunked\r\n\r\n5\r\n{"),
}


@pytest.fixture
def hasty(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with a timeout of one second and eight connections."""
    for name in ("HEAD_SECONDS", "BODY_IDLE_SECONDS", "ANSWER_IDLE_SECONDS"):
        monkeypatch.setattr(connections, name, 1.0)
    with serving(settings, limit_concurrency=8) as url:
        yield url


def test_a_connection_that_is_silent_or_slow_is_closed(hasty: str):
    with contextlib.ExitStack() as stack:
        held = {}
        for name, (_, sent) in SILENCES.items():
            held[name] = stack.enter_context(connected(hasty))
            held[name].sendall(sent)
        began = time.monotonic()
        for name, connection in held.items():
            answered(connection)
            assert time.monotonic() - began < 15, name


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(hasty: str):
    """Each byte is progress, but the whole is late."""
    with connected(hasty) as connection:
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for byte in GET + b"a: " + b"x" * 10_000:
                connection.send(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - began < 15


def test_a_client_that_does_not_read_its_response_is_dropped(hasty: str):
    with connected(hasty) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(8):  # more than the kernels hold of it
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n")
        wait_until(lambda: num_open(hasty) == 0)


def test_one_connection_too_many_is_refused_and_the_others_continue(hasty: str):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connected(hasty)) for _ in range(8)]
        with connected(hasty) as one_more:
            answer = answered(one_more)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"connections_exceeded" in answer
        held[0].sendall(GET + b"connection: close\r\n\r\n")
        assert answered(held[0]).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: httpx.get(f"{hasty}/livez").status_code == 200)


def num_open(url: str) -> int:
    """Return the server's established connections, from the kernel's table."""
    port = f":{httpx.URL(url).port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if re.split(r"\s+", line.strip())[1].endswith(port)
               and re.split(r"\s+", line.strip())[3] == "01")  # fmt: skip


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_pages_without_a_key_are_made_once_and_not_sent_again(target: Target, path: str):
    first = httpx.get(f"{target.url.join(path)}")
    assert first.status_code == 200
    known = {"If-None-Match": first.headers["etag"]}
    again = httpx.get(f"{target.url.join(path)}", headers=known)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/metrics"])
def test_pages_without_a_key_are_limited_by_address(settings: Settings, path: str):
    with serving(settings) as url, httpx.Client(base_url=url) as http:
        codes = [http.get(path).status_code for _ in range(260)]  # two minutes' at most
        refused = http.get(path)
    assert codes[:100] == [200] * 100
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= 60
