"""A service of rewards on a free port, which answers as a test says."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def items(self) -> list[dict[str, Any]]:
        """The completions of a request in Duet's own format."""
        return self.json["data"]["items"]


@dataclass(frozen=True)
class Reply:
    """An answer.  `chunks` are sent with `seconds_between` them; `length`: the announced one."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Sequence[bytes] = ()
    seconds_between: float = 0.0
    length: int | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Answering = Callable[[Asked], Reply]


@dataclass
class RewardService:
    """The requests that arrived, and the most that were answered at the same time."""

    answering: Answering
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    started_at: list[float] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/score"

    def take(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            self.started_at.append(time.monotonic())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self.answering(asked)
        finally:
            with self._lock:
                self._at_once -= 1


def scored(asked: Asked, score: Callable[[dict[str, Any]], Any]) -> Reply:
    """Answer a request in Duet's own format."""
    scores = [{"key": item["key"], "score": score(item)} for item in asked.items]
    return Reply({"scores": scores})


def said(content: Any, **message: Any) -> Reply:
    """Answer with a chat completion; what is no text becomes JSON."""
    text = content if isinstance(content, str | None) else json.dumps(content)
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": text, **message}}
    return Reply({"choices": [choice], "usage": {"total_tokens": 7}})


def signed(asked: Asked, reply: Reply, secret: str = SECRET) -> Reply:
    """Sign an answer, as is required over http."""
    number, now = asked.headers["webhook-id"], datetime.now(UTC)
    signature = Webhook(secret).sign(number, now, reply.content.decode())
    headers = {
        "webhook-id": number,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return Reply(reply.content, reply.status, headers)


@contextmanager
def reward_service(answering: Answering) -> Iterator[RewardService]:
    """Serve until the block ends."""
    service = RewardService(answering)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = service.take(Asked(self.path, headers, body))
            with suppress(ConnectionError):  # the client has gone
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            length = len(reply.content) if reply.length is None else reply.length
            if not reply.chunks or reply.length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(reply.content)
            for chunk in reply.chunks:
                self.wfile.write(chunk)
                self.wfile.flush()
                time.sleep(reply.seconds_between)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
