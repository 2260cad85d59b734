"""Answers to failures of the server's own services."""

import pytest
from sqlalchemy.exc import OperationalError

from api.errors.problems import as_problem
from store.errors import (
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    ArtifactsAway,
    ArtifactsFull,
    ArtifactsRefused,
    DatabaseUnusable,
)

CANARY = "s3://canary/x: http://canary:9 refused (HTTPS_PROXY=canary); /canary/artifacts"
KINDS = [
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    ArtifactsAway,
    ArtifactsFull,
    ArtifactsRefused,
    DatabaseUnusable,
]


@pytest.mark.parametrize(
    "error",
    [*(kind(CANARY) for kind in KINDS), OperationalError(CANARY, {}, Exception(CANARY))],
    ids=lambda error: type(error).__name__,
)
def test_no_address_or_path_of_the_server_is_answered(error: Exception):
    problem = as_problem(error)
    assert problem.status == 503
    assert b"canary" not in bytes(problem.answer().body)
    assert "log" in problem.detail or "retry" in problem.detail
