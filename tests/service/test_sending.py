"""One signed message to a receiver: success, failure and limits."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openai import OpenAI
from standardwebhooks import WebhookVerificationError

from store.webhooks.sender import Message, Sender
from tests.service.receiver import receiving
from tests.waiting import deadline

SECRET, OLD_SECRET = "whsec_c2VjcmV0LW9uZQ==", "whsec_c2VjcmV0LXR3bw=="
PAYLOAD = {"type": "job.succeeded", "data": {"name": "größer \u2713"}}
SENDER = Sender(timeout_seconds=5, allow_private=True)


def message(url: str, *secrets: str) -> Message:
    return Message("msg_1", datetime.now(UTC), url, secrets or (SECRET,), PAYLOAD)


def test_a_message_is_signed_as_specified_by_standard_webhooks():
    with receiving() as receiver:
        answer = SENDER.send(message(receiver.url + "?a=b"))
    assert (answer.status_code, answer.error) == (200, None)
    [received] = receiver.arrived
    assert received.path == "/hook?a=b"
    assert received.id == "msg_1"
    assert received.headers["content-type"] == "application/json"
    assert received.verified(SECRET) == PAYLOAD
    with pytest.raises(WebhookVerificationError):
        received.verified(OLD_SECRET)


def test_the_openai_client_takes_it_as_one_of_its_own():
    with receiving() as receiver:
        SENDER.send(message(receiver.url))
    [received] = receiver.arrived
    client = OpenAI(api_key="none", webhook_secret=SECRET)
    event = client.webhooks.unwrap(received.body, received.headers)
    assert event.type == "job.succeeded"


def test_in_a_rotation_either_secret_verifies():
    with receiving() as receiver:
        SENDER.send(message(receiver.url, SECRET, OLD_SECRET))
    [received] = receiver.arrived
    assert received.verified(SECRET) == received.verified(OLD_SECRET) == PAYLOAD


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_only_a_2xx_counts_and_a_redirect_is_not_followed(status: int):
    with receiving(lambda _: status) as receiver:
        answer = SENDER.send(message(receiver.url))
    assert (answer.status_code, answer.error) == (status, f"it answered {status}")
    assert len(receiver.arrived) == 1


def test_an_unreachable_receiver_is_a_failure_with_a_message():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and not listening: nobody else gets the port
        answer = SENDER.send(message(f"http://127.0.0.1:{bound.getsockname()[1]}"))
    assert answer.status_code is None
    assert answer.error is not None
    assert "refused" in answer.error


def test_a_private_address_is_refused_and_never_connected_to():
    with receiving() as receiver:
        answer = Sender(timeout_seconds=5, allow_private=False).send(message(receiver.url))
    assert answer.error is not None
    assert "not a public address" in answer.error
    assert receiver.arrived == []


def test_a_name_is_resolved_once_and_what_was_checked_is_what_is_connected_to():
    """DNS rebinding: a name that resolves differently for the check and the connection."""
    answers = [["::1"], ["127.0.0.1"]]  # from the end
    sender = Sender(timeout_seconds=5, allow_private=True, resolver=lambda *_: answers.pop())
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "hooks.example")
        assert sender.send(message(url)).error is None
    assert answers == [["::1"]]


def test_a_name_that_turns_private_after_its_registration_is_refused():
    def rebound(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "hooks.example")
        sender = Sender(timeout_seconds=5, allow_private=False, resolver=rebound)
        assert "hooks.example" in (sender.send(message(url)).error or "")
        assert receiver.arrived == []
        # The host that the receiver is told is the name, whatever it was connected by.
        Sender(timeout_seconds=5, allow_private=True, resolver=rebound).send(message(url))
    assert receiver.arrived[0].headers["host"] == f"hooks.example:{receiver.port}"


@contextmanager
def trickling(interval_seconds: float) -> Iterator[str]:
    """A receiver that accepts the connection and sends its headers byte by byte, without end."""
    stopping = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
            try:
                while not stopping.wait(interval_seconds):
                    connection.sendall(b"a")
            except OSError:
                return  # it has hung up

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stopping.set()
        thread.join()


def test_a_receiver_that_trickles_is_given_up_in_time():
    sender = Sender(timeout_seconds=0.5, allow_private=True)
    began = time.monotonic()
    with trickling(0.05) as url:
        answer = sender.send(message(url))
    assert answer.error == "no answer within 0.5 s"
    assert 0.4 < answer.seconds < deadline(3)
    assert time.monotonic() - began < deadline(3)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a self-signed (certificate, key) of hooks.example."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"),
            *("-out", str(files[0]), "-keyout", str(files[1])),
        ],
        check=True,
        capture_output=True,
    )
    return files


@pytest.mark.parametrize(("name", "taken"), [("hooks.example", True), ("other.example", False)])
def test_tls_verifies_the_name_though_the_connection_goes_to_a_number(
    certificate: tuple[Path, Path], name: str, taken: bool
):
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    sender = Sender(
        timeout_seconds=5, allow_private=True, resolver=lambda *_: ["127.0.0.1"], tls=trusting
    )
    with receiving(tls=serving) as receiver:
        answer = sender.send(message(f"https://{name}:{receiver.port}/hook"))
    assert (answer.error is None) is taken
    assert len(receiver.arrived) == taken
    assert taken or "Hostname mismatch" in (answer.error or "")
