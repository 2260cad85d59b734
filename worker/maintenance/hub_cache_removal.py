"""Removal of projects' hub caches from a worker's disk."""

import os
import shutil
from pathlib import Path

import structlog

from store.ids import decode_or_none
from store.jobs.hub_cache_use import Use, use_of
from worker.attempt.hub_access import project_caches
from worker.context import WorkerContext
from worker.maintenance.cleanup import DAY_SECONDS, listed, untouched_seconds

log = structlog.get_logger()

STARTING_SECONDS = 60
"""Age below which a cache may belong to a trainer that is about to start, whose job was not running
yet when the database was read."""
REMOVED = ".removed"


def remove_hub_caches(context: WorkerContext) -> int:
    """Remove the caches of projects that run no job and no longer have a token, or have not used
    them for `runs_keep_days`; return their number.

    A cache is renamed first, so that a trainer finds it complete or not at all.
    """
    folder = project_caches(context.environment)
    caches = {
        project_id: path
        for path in listed(folder)
        if (project_id := decode_or_none("proj", path.name))
        and path.is_dir()
        and not path.is_symlink()
    }
    with context.database.session() as session:
        uses = use_of(session, list(caches))
    for project_id, use in uses.items():
        _set_aside(caches[project_id], use, keep_days=context.settings.runs_keep_days)
    return sum(
        _remove(path)
        for path in listed(folder)
        if path.name.endswith(REMOVED) and decode_or_none("proj", path.name.removesuffix(REMOVED))
    )


def _set_aside(cache: Path, use: Use, *, keep_days: float) -> None:
    keep_seconds = keep_days * DAY_SECONDS if use.has_token else 0
    try:
        if use.has_running_job:
            os.utime(cache)
        elif untouched_seconds(cache) > max(keep_seconds, STARTING_SECONDS):
            cache.rename(cache.with_name(cache.name + REMOVED))
    except OSError as error:
        log.warning("hub_cache_not_removed", cache=str(cache), error=str(error))


def _remove(cache: Path) -> bool:
    try:
        shutil.rmtree(cache)
    except OSError as error:
        log.warning("hub_cache_not_removed", cache=str(cache), error=str(error))
        return False
    log.info("hub_cache_removed", cache=str(cache))
    return True
