"""Hostile requests are refused cheaply, with an explanation."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from typing import Any

import httpx
import pytest

from tests.contract.conftest import Target
from tests.waiting import deadline

MIB = 1024 * 1024
SECURITY_HEADERS = {
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    return answer.json()


def deep(levels: int) -> bytes:
    return b'{"labels": ' + b'{"a": ' * levels + b"1" + b"}" * levels + b"}"


WRONG_VALUES = [
    (b'{"name": "NUL \\u0000"}', "/name", "NUL"),
    (b'{"labels": {"a": "\\ud83d"}}', "/labels/a", "surrogate"),
    (b'{"labels": {"\\ud83d": "a"}}', "/labels", "surrogate"),
    (b'{"optimizer": {"learning_rate": NaN}}', "/optimizer/learning_rate", "finite"),
    (b'{"rewards": [{"weight": -Infinity}]}', "/rewards/0/weight", "finite"),
    (b'{"seed": 1e999}', "/seed", "finite"),
    (b'{"seed": 1' + b"0" * 400 + b"}", "/seed", "64 bits"),
    (b'{"seed": 1, "seed": 2}', "/seed", "occurs twice"),
    (b'{"data": {"a/b": {"x": 1, "x": 1}}}', "/data/a~1b/x", "occurs twice"),
    (deep(200), "/labels" + "/a" * 63, "64 levels"),
]
ROUTES = [
    ("POST", "/v1/jobs"),
    ("POST", "/v1/jobs?validate_only=true"),
    ("POST", "/v1/estimates"),
    ("POST", "/v1/sweeps"),
    ("POST", "/v1/webhooks"),
    ("POST", "/v1/keys"),
    ("POST", "/v1/projects"),
]


@pytest.mark.parametrize(("body", "pointer", "said"), WRONG_VALUES, ids=lambda of: str(of)[:24])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_value_that_cannot_be_kept_is_pointed_at_wherever_json_is_taken(
    http: httpx.Client, method: str, path: str, body: bytes, pointer: str, said: str
):
    answer = http.request(method, path, content=body)
    [error] = problem(answer, 422, "invalid_request")["errors"]
    assert error["pointer"] == pointer
    assert said in error["detail"]


def test_the_openai_surface_names_the_parameter(http: httpx.Client):
    answer = http.post("/openai/v1/fine_tuning/jobs", content=b'{"model": "a", "seed": NaN}')
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "seed"


def test_the_number_of_reported_problems_is_bounded(http: httpx.Client):
    body = json.dumps({"labels": {str(n): "\0" for n in range(1000)}})
    assert len(problem(http.post("/v1/jobs", content=body), 422, "invalid_request")["errors"]) == 20


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"name": "x"}',
        '{"name": "x"}'.encode("utf-16"),
        b'{"seed": 1' + b"0" * 5000 + b"}",
        deep(10_000),
        b"[" * 500_000,
    ],
    ids=lambda body: repr(body[:12]),
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/webhooks"])
def test_a_body_that_is_not_a_json_object_is_refused(http: httpx.Client, path: str, body: bytes):
    problem(http.post(path, content=body), 400, "invalid_json")


def begun(target: Target, path: str, *headers: str) -> socket.socket:
    """Open a connection and send a POST's headers."""
    assert target.url.port is not None
    connection = socket.create_connection((target.url.host, target.url.port), timeout=deadline(10))
    lines = [f"POST {path} HTTP/1.1", f"Host: {target.url.host}", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def answered(connection: socket.socket) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer


@pytest.mark.parametrize("path", ["/v1/jobs", "/openai/v1/fine_tuning/jobs"])
def test_100_mb_that_are_announced_are_refused_before_any_of_it_is_sent(target: Target, path: str):
    headers = f"Authorization: {target.authorization}", f"Content-Length: {100 * MIB}"
    with begun(target, path, *headers) as connection:
        assert answered(connection).status == 413


def test_100_mb_without_a_content_length_are_cut_off_early(target: Target):
    headers = f"Authorization: {target.authorization}", "Transfer-Encoding: chunked"
    block = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
    num_sent = 0
    with begun(target, "/v1/jobs", *headers) as connection:
        try:
            while num_sent < 100:
                connection.sendall(block)
                num_sent += 1
        except (ConnectionError, TimeoutError):
            pass  # it reads no more
        assert num_sent < 20


@pytest.mark.parametrize("path", ["/v1/files", "/openai/v1/files", "/v1/jobs", "/v1/webhooks"])
def test_a_request_without_a_key_is_refused_before_its_body_is_read(target: Target, path: str):
    with begun(
        target, path, "Content-Length: 1000", "Content-Type: multipart/form-data; boundary=x"
    ) as connection:
        assert answered(connection).status == 401


def parts(*headers: bytes) -> bytes:
    return b"".join(b"--x\r\n" + header + b"\r\n\r\n{}\r\n" for header in headers) + b"--x--\r\n"


FILE = b'Content-Disposition: form-data; name="file"; filename="a"'


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"--x\r\nno header\r\n\r\n",
        parts(b"Content-Disposition: form-data"),
        parts(FILE, FILE),
        parts(*(b'Content-Disposition: form-data; name="f%d"' % n for n in range(11))),
        parts(b"X: " + b"y" * 2 * MIB),
        parts(FILE)[:-20],
        b"",
    ],
    ids=["garbage", "no header", "no name", "two files", "many", "long header", "cut", "empty"],
)
def test_a_form_that_is_none_is_refused(http: httpx.Client, body: bytes):
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = http.post("/v1/files", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("charset", ["zlib", "nonsense", "utf-16", "idna"])
def test_a_forms_charset_selects_no_other_codec(http: httpx.Client, charset: str):
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = http.post("/v1/files", content=parts(FILE), headers=headers)
    assert answer.status_code < 500


NAMES = [
    ("../../../etc/passwd", "passwd"),
    ("..\\..\\windows\\system.ini", "system.ini"),
    ("/", "untitled.jsonl"),
    ("..", ".."),
    ("a%0d%0aSet-Cookie: x=y", None),
    ("\u202egnp.jsonl", "\u202egnp.jsonl"),
]


@pytest.mark.parametrize(("name", "kept"), NAMES, ids=lambda of: repr(of)[:20])
def test_a_files_name_leads_nowhere_and_adds_no_header(
    http: httpx.Client, name: str, kept: str | None
):
    file = http.post("/v1/files", files={"file": (name, b'{"a": 1}')}).json()
    assert kept in (None, file["name"])
    answer = http.get(f"/v1/files/{file['id']}/content")
    assert answer.content == b'{"a": 1}'
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-disposition"].startswith("attachment")


def test_a_files_name_that_is_too_long_is_refused(http: httpx.Client):
    answer = http.post("/v1/files", files={"file": ("x" * 3000, b'{"a": 1}')})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_file")
    assert "longer than 255 characters" in answer.json()["detail"]


@dataclass(frozen=True)
class Raw:
    """Read a whole response."""

    status: int
    headers: Message
    content: bytes


def asked_raw(target: Target, path: str) -> Raw:
    """Send a path unmodified and return the response."""
    assert target.url.port is not None
    opened = http.client.HTTPConnection(target.url.host, target.url.port, timeout=deadline(10))
    with closing(opened) as connection:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.putheader("Authorization", target.authorization)
        connection.endheaders()
        answer = connection.getresponse()
        return Raw(answer.status, answer.headers, answer.read())


@pytest.mark.parametrize("up", ["../", "..%2f", "%2e%2e/", "..%5c", "....//", "%00", "..;/"])
@pytest.mark.parametrize(
    "place", ["/", "/js/", "/v1/files/", "/v1/jobs/", "/v1/checkpoints/ckpt_0/files/"]
)
def test_no_url_path_escapes_the_served_folder(target: Target, place: str, up: str):
    answer = asked_raw(target, f"{place}{up * 8}etc/passwd")
    assert answer.status in (404, 422)
    assert b"root:" not in answer.content


@pytest.mark.parametrize(
    "query",
    ["text=%0d%0aSet-Cookie:%20x=y", "after=%0d%0aSet-Cookie:%20x=y", "label=a%00b", "limit=1e99"],
)
def test_no_query_adds_a_header(target: Target, query: str):
    answer = asked_raw(target, f"/v1/jobs?limit=1&{query}")
    assert answer.status < 500
    assert "Set-Cookie" not in answer.headers


def test_a_header_cannot_be_split(target: Target):
    split = f"Authorization: {target.authorization}\r\nIdempotency-Key: a\rSet-Cookie: x=y"
    with begun(target, "/v1/jobs", split, "Content-Length: 2") as connection:
        connection.sendall(b"{}")
        answer = answered(connection)
        assert answer.status < 500
        assert answer.getheader("Set-Cookie") is None


@pytest.fixture
def stored(http: httpx.Client) -> Iterator[str]:
    """Upload ten bytes and return their address."""
    file = http.post("/v1/files", files={"file": ("ten", b'{"a": 123}')}).json()
    yield f"/v1/files/{file['id']}/content"
    http.delete(f"/v1/files/{file['id']}")


def test_a_range_outside_the_file_is_a_problem_with_the_files_size(http: httpx.Client, stored: str):
    answer = http.get(stored, headers={"Range": "bytes=10-"})
    assert "10 bytes" in problem(answer, 416, "range_not_satisfiable")["detail"]
    assert answer.headers["content-range"] == "bytes */10"
    openai = http.get(f"/openai{stored}", headers={"Range": "bytes=10-"})
    assert openai.status_code == 416
    assert openai.json()["error"]["code"] == "range_not_satisfiable"


@pytest.mark.parametrize("asked", ["bytes=", "lines=1-2", "bytes=b-a", "bytes=5-2"])
def test_a_range_that_cannot_be_read_is_a_problem(http: httpx.Client, stored: str, asked: str):
    problem(http.get(stored, headers={"Range": asked}), 400, "invalid_range")


def test_a_range_of_a_million_parts_costs_no_more_than_the_file(http: httpx.Client, stored: str):
    answer = http.get(stored, headers={"Range": "bytes=" + ",".join(["0-9"] * 5000)})
    assert answer.status_code < 500
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/livez", 200),
        ("GET", "/metrics", 200),
        ("GET", "/v1/jobs", 200),
        ("HEAD", "/", 200),
        ("GET", "/nothing", 404),
        ("GET", "/v1/jobs/job_nothing", 404),
        ("DELETE", "/v1/jobs", 405),
        ("POST", "/v1/jobs", 400),
        ("POST", "/v1/files", 415),
        ("GET", "/v1/jobs?limit=0", 422),
        ("GET", "/openai/v1/files", 200),
        ("POST", "/openai/v1/files", 415),
    ],
)
def test_every_answer_has_the_headers_that_protect_a_browser(
    http: httpx.Client, method: str, path: str, status: int
):
    answer = http.request(method, path)
    # Pages without a key are limited per address, which other tests share.
    assert answer.status_code == status or (answer.status_code, status) == (429, 200)
    assert answer.headers.keys() >= SECURITY_HEADERS
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_refusal_has_them_too(http: httpx.Client, stored: str):
    for answer in (
        http.get(stored, headers={"Range": "bytes=10-"}),
        http.get("/v1/jobs", headers={"Authorization": "Bearer nonsense"}),
    ):
        assert answer.status_code in (401, 416)
        assert answer.headers.keys() >= SECURITY_HEADERS
