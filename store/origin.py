"""Origins of web pages, as browsers send them in `Origin`."""

import re
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def is_origin(text: str) -> bool:
    """Whether a browser may send this origin: lower case, no default port (RFC 6454, 6.1)."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    literal = ":" in host
    if port == DEFAULT_PORTS.get(parts.scheme, port) and port is not None:
        return False
    written = f"{parts.scheme}://" + (f"[{host}]" if literal else host)
    written += "" if port is None else f":{port}"
    named = literal or bool(HOST.fullmatch(host))
    return parts.scheme in DEFAULT_PORTS and named and text == written
