"""The error responses that the OpenAPI document lists for OpenAI-compatible routes."""

from typing import Any

from api.errors.responses import REASONS


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that needs a key, with further errors of its own."""
    schema = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": "string"},
                },
            }
        },
    }
    # FastAPI adds 422, where these routes answer with 400.
    return {
        status: {
            "description": REASONS[status],
            "content": {"application/json": {"schema": schema}},
        }
        for status in sorted({400, 401, 403, 429, 503, *statuses})
    }
