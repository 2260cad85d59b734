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
    """One change, and the key that made it."""

    id: str
    at: datetime
    action: str
    object: str = Field(
        description="Id of the created or changed object, which may no longer exist."
    )
    key: AuditKey
    session: str | None = Field(
        description="Browser session through which the key was used; null: the key itself was sent."
    )
    request_id: str = Field(description="The answer's `x-request-id`, also found in the logs.")
    address: str | None = Field(
        description="The client's address, as the server or a trusted proxy reports it."
    )

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
