"""Checks of the server: whether it answers, accepts the key, and has workers."""

from collections.abc import Collection, Iterator
from importlib.metadata import version

from duet.client.sync.client import Client
from duet.doctor.finding import Finding, fail, ok, warn
from duet.errors import DuetError, NotReady, PermissionDenied, Refused, Unauthenticated, Unreachable
from duet.terminal.plain import plain

PATIENCE_SECONDS = 20.0  # a server that has just started generates its OpenAPI document first


def server(url: str | None, key: str | None) -> Iterator[Finding]:
    """Check the server; the first failure ends the checks."""
    try:
        client = Client(url, key, timeout_seconds=PATIENCE_SECONDS, max_retries=0)
    except Unreachable as error:
        yield warn("server", "none is configured", str(error))
        return
    except Refused as error:
        yield fail("server", "the file that names it is not trusted", str(error))
        return
    with client:
        try:
            yield from _findings(client)
        except (Unauthenticated, PermissionDenied) as error:
            said = f"{client.url} rejects it: {error.detail}"
            yield fail("key", said, "use a key of this server with the scope `read`: --key")
        except NotReady as error:
            yield fail("server", str(error), _cure(error.failed))
        except DuetError as error:
            yield fail("server", str(error), "start it, or use --url to name a running server")


def _findings(client: Client) -> Iterator[Finding]:
    yield ok("address", f"{client.url}, from {client.named_by or '--url'}")
    ready = client.ready()
    weak = [name for name, state in ready.checks.items() if state != "ok"]
    checks = ", ".join(f"{name} {state}" for name, state in ready.checks.items())
    said = f"{client.url} is {ready.status}: {checks}"
    if weak:
        advice = _advice(weak)
        yield warn("server", said, advice)
    else:
        yield ok("server", said)
    me = client.me()
    yield ok(
        "key",
        f"{plain(me.key.name)} of project {plain(me.project.name)}, may {', '.join(me.key.scopes)}",
    )
    yield from _workers(client)


def _advice(weak: Collection[str]) -> str:
    if "redis" in weak:
        return "jobs are still accepted but start some seconds later: restart Redis"
    return "a worker cannot run jobs and takes none: `duet workers` says why"


def _cure(failed: Collection[str]) -> str:
    if "database" in failed:
        return "start its Postgres, or correct its DATABASE_URL"
    if "migrations" not in failed:
        return "its Postgres refuses writes: it is a standby, or its disk is full"
    return "run `python -m store migrate` of the server's own version"


def _workers(client: Client) -> Iterator[Finding]:
    ours, theirs = version("duet"), client.read("/openapi.json")["info"]["version"]
    workers = [worker for worker in client.workers.list() if worker.status != "gone"]
    versions = {"the server": theirs} | {each.host: each.versions.get("duet") for each in workers}
    others = [f"{name} has {its}" for name, its in versions.items() if its != ours]
    if others:
        said = f"{ours} here, but {', '.join(others)}"
        yield warn("versions", said, "install the same version everywhere")
    else:
        yield ok("versions", f"Duet {ours} here, on the server and its workers")
    active = [worker for worker in workers if worker.status == "active"]
    if not active:
        yield warn("workers", "no worker takes jobs", "start one: `python -m worker` or `duet up`")
        return
    queues = sorted({queue for worker in active for queue in worker.queues})
    running = sum(len(worker.jobs) + worker.num_other_jobs for worker in active)
    slots = sum(worker.slots for worker in active)
    names = ", ".join(queues)
    yield ok("workers", f"{len(active)} on {plain(names)}; {running} of {slots} slots in use")
