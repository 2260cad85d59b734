"""Audit records, as the API shows them."""

from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.base import View
from store import ids
from store.tables import AuditRecord


class AuditKey(View):
    id: str
    name: str


class AuditView(View):
    """One change, and who made it."""

    id: str
    at: datetime
    action: str
    object: str = Field(description="The id of what was made or changed; it may be gone.")
    key: AuditKey
    session: str | None = Field(
        description="The browser's that was signed in with the key; null: the key itself was sent."
    )
    request_id: str = Field(description="The answer's `x-request-id`, which the logs have, too.")
    address: str | None = Field(description="The client's, as the server or its proxy knows it.")

    @classmethod
    def of(cls, record: AuditRecord) -> Self:
        return cls(
            id=ids.encode("aud", record.id),
            at=record.at,
            action=record.action,
            object=record.object,
            key=AuditKey(id=ids.encode("key", record.key_id), name=record.key.name),
            session=ids.encode("ses", record.session_id) if record.session_id else None,
            request_id=record.request_id,
            address=record.address,
        )
