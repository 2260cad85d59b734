"""The operators' log: one JSON event per line on standard error."""

import sys

import structlog


def write_operator_log() -> None:
    """Configure a process's log, with plain tracebacks: values of variables may be secrets."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
