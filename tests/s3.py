"""An S3 server process behind a connection that a test can cut."""

import re
import selectors
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from duet.local.services.process import Child, answers, free_port
from tests.waiting import deadline

BUCKET = "duet-artifacts"
KEY_ID, SECRET = "a-key-id", "a-secret"


class Line:
    """A TCP port forwarded to another until it is cut; then it refuses connections."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._cut_at: int | None = None
        self._carried = 0
        self.join()

    def join(self) -> None:
        """Start forwarding, for the first time or again."""
        self._broken = threading.Event()
        self._cut_at = None
        listener = socket.create_server(("127.0.0.1", self.port))
        self._accepting = threading.Thread(target=self._accept, args=(listener, self._broken))
        self._accepting.start()

    def cut(self) -> None:
        """Close every connection and accept no more."""
        self._broken.set()
        self._accepting.join()

    def cut_after(self, num_bytes: int) -> None:
        """Cut it after a number of further uploaded bytes."""
        self._cut_at = self._carried + num_bytes

    @property
    def is_cut(self) -> bool:
        return self._broken.is_set()

    def _accept(self, listener: socket.socket, broken: threading.Event) -> None:
        threads = []
        with listener:
            listener.settimeout(0.05)
            while not broken.is_set():
                with suppress(TimeoutError):
                    near, _ = listener.accept()
                    threads.append(threading.Thread(target=self._carry, args=(near, broken)))
                    threads[-1].start()
        for thread in threads:
            thread.join()

    def _carry(self, near: socket.socket, broken: threading.Event) -> None:
        with (
            near,
            socket.create_connection(("127.0.0.1", self._target)) as far,
            selectors.DefaultSelector() as ready,
            suppress(OSError),
        ):
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while not broken.is_set():
                for key, _ in ready.select(0.05):
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    if not (block := source.recv(65536)):
                        return
                    target.sendall(block)
                    if target is far:
                        self._count(len(block), broken)

    def _count(self, num_bytes: int, broken: threading.Event) -> None:
        self._carried += num_bytes
        if self._cut_at is not None and self._carried > self._cut_at:
            broken.set()


class S3Server:
    """One server process, with its data in memory."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._child = Child(command, name="moto", log=folder / "s3.log", env=environment)
        self._child.wait_until(lambda: answers(self.port), seconds=deadline(60))
        self.line = Line(self.port)

    @property
    def environment(self) -> dict[str, str]:
        """Response of the server to a client."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.line.port}",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """A client of another library, not through the connection."""
        import boto3  # half a second that most tests need not wait

        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def stored(self, prefix: str = "") -> list[str]:
        pages = self.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in found for entry in page.get("Contents", [])]

    def requests(self) -> list[tuple[str, str]]:
        """Return method and path of every request so far, in the order of their ends."""
        return re.findall(r'"([A-Z]+) (\S+) HTTP', self._child.log.read_text())

    def stop(self) -> None:
        self.line.cut()
        self._child.stop()


@contextmanager
def s3_server(folder: Path, **environment: str) -> Iterator[S3Server]:
    server = S3Server(folder, **environment)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An empty bucket, with this process's environment set for it."""
    client = s3_process.client()
    client.create_bucket(Bucket=BUCKET)
    for key in s3_process.stored():
        client.delete_object(Bucket=BUCKET, Key=key)
    for name, value in s3_process.environment.items():
        monkeypatch.setenv(name, value)
    if s3_process.line.is_cut:
        s3_process.line.join()
    return s3_process
