"""A hub over HTTP, as far as the real client of Hugging Face's asks it: who else it is asked for
stays unanswered, and every request is kept."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A repository `datasets/owner/name` or `models/owner/name`, with file contents by name."""

    repositories: dict[str, Mapping[str, bytes]]
    asked: list[str] = field(default_factory=list)
    url: str = ""
    token: str | None = None
    """Token required for files, as of a gated repository."""

    def answers_to(self, path: str, authorization: str | None) -> tuple[int, dict[str, str], bytes]:
        """Response: status, headers and body."""
        if self.token and "/resolve/" in path and authorization != f"Bearer {self.token}":
            return 401, {"X-Error-Code": "GatedRepo"}, b"{}"
        found = self.answer(path)
        if found is None:
            unknown = {"X-Error-Code": "RepoNotFound"} if path.startswith("/api/") else {}
            return 404, unknown, b"{}"
        return 200, *found

    def answer(self, path: str) -> tuple[dict[str, str], bytes] | None:
        """Return headers and body of a file, or None."""
        self.asked.append(path)
        for kind_and_name, files in self.repositories.items():
            kind, _, name = kind_and_name.partition("/")
            if path.partition("/revision")[0] == f"/api/{kind}/{name}":
                return {"Content-Type": "application/json"}, _info(name, files)
            if path.startswith(f"/api/{kind}/{name}/tree/"):
                return {"Content-Type": "application/json"}, _tree(files)
            content = f"/{name}/resolve/" if kind == "models" else f"/{kind}/{name}/resolve/"
            file = path.removeprefix(content).partition("/")[2]
            if path.startswith(content) and file in files:
                etag = f'"{_etag(files[file])}"'
                return {"X-Repo-Commit": COMMIT, "ETag": etag}, files[file]
        return None


def _info(name: str, files: Mapping[str, bytes]) -> bytes:
    siblings = [{"rfilename": file} for file in files]
    return json.dumps({"id": name, "sha": COMMIT, "siblings": siblings, "tags": []}).encode()


def _tree(files: Mapping[str, bytes]) -> bytes:
    entries = [
        {"type": "file", "path": file, "size": len(content), "oid": _etag(content)}
        for file, content in files.items()
    ]
    return json.dumps(entries).encode()


def _etag(content: bytes) -> str:
    return sha1(content, usedforsecurity=False).hexdigest()


@contextmanager
def serving_hub(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    hub = Hub(dict(repositories))

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path, authorization = self.path.partition("?")[0], self.headers["Authorization"]
            status, headers, content = hub.answers_to(path, authorization)
            self.send_response(status)
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Suppress logging; `asked` has the requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
