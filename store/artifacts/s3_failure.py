"""Cause of a failed request to S3 in one sentence, from the library's long error."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from grpo.runtime.proxies import proxy_for
from store.artifacts.s3_environment import BUNDLE, certificates_named
from store.errors import ArtifactError, ArtifactsAway, ArtifactsFull, ArtifactsRefused

SETTINGS = "see ARTIFACTS_URL and the AWS_... variables"
FULL_CODES = ("XMinioStorageFull", "QuotaExceeded", "507 Insufficient Storage")
"""Error codes of a full store; AWS itself has no such limit."""
TOKEN_CODES = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired")
SERVICE = re.compile(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", re.DOTALL)
ASKED = re.compile(r"Error performing [A-Z]+ (\S+)")
CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w+)")
CAUSE = re.compile(r'(?:message|error): "(.*?)"')
UNUSABLE = re.compile(r'General\(\s*"(.*?)"|InvalidCertificate\(\s*(\w+)')
ROLE = ("169.254.169.254", "169.254.170.2", "fd00:ec2::254")
"""Addresses from which a machine or a container requests the credentials of its role."""


def failure_of(text: str, environment: Mapping[str, str]) -> tuple[type[ArtifactError], str]:
    """Return the kind of a failure and its cause."""
    kind = ArtifactsAway
    if service := SERVICE.search(text):
        code, message = service.groups()
        words = f"{code}: {message}"
        if code in TOKEN_CODES:
            kind, words = ArtifactsRefused, f"{words}; {TOKEN_HINT}"
    elif certificate := CERTIFICATE.search(text):
        kind, words = ArtifactsRefused, _of_certificate(text, certificate[1], environment)
    else:
        words = _of_network(text, environment)
    if "NoSuchBucket" in text:
        kind = ArtifactsRefused
    elif any(code in text for code in FULL_CODES):
        kind = ArtifactsFull
    return kind, words


def unusable_settings(text: str, environment: Mapping[str, str]) -> str:
    """Return the reason why no client could be created: the certificates or the URL."""
    found = UNUSABLE.search(text)
    if found is None:
        first = text.partition("\n")[0]
        return first + (certificates_named(environment) if "certificate" in first else "")
    return f"{found[1] or f'a certificate has {found[2]}'}{certificates_named(environment)}"


TOKEN_HINT = (
    "AWS_SESSION_TOKEN is read once, at a process's start: set new credentials and restart, or use "
    "a role of the machine or pod, which is renewed"
)


def _of_certificate(text: str, detail: str, environment: Mapping[str, str]) -> str:
    found = certificates_named(environment)
    words = f"the certificate of {_server(text)} is not accepted: {detail}{found}"
    if detail != "UnknownIssuer":
        return words
    return f"{words}; add its authority's certificate to the file that {BUNDLE} names"


def _of_network(text: str, environment: Mapping[str, str]) -> str:
    server, cause = _server(text), CAUSE.search(text)
    first = text.partition("\n")[0].strip()
    words = f"{server} cannot be reached: {cause[1]}" if server and cause else first
    if any(address in server for address in ROLE):
        return f"AWS_ACCESS_KEY_ID is not set, and this machine has no role: {words}"
    proxy = proxy_for(server, environment)
    return f"{words} (through the proxy of {proxy})" if proxy else words


def _server(text: str) -> str:
    """Return the scheme, host and port of the request; empty if the text has none."""
    asked = ASKED.search(text)
    parts = urlsplit(asked[1]) if asked else None
    return f"{parts.scheme}://{parts.netloc}" if parts else ""
