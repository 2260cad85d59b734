"""`python -m tests.compose`: docker-compose.yml for real, with a job stopped and killed in it.

With Docker where its daemon answers, else with Podman as root.  The exit code is 1 if a
guarantee is broken, and 2 if none could be measured.
"""

import secrets
import sys
from functools import partial

from duet.errors import DuetError
from duet.local.services.process import free_port
from tests.compose.engine import ROOT, SERVICES, Engine, EngineError
from tests.compose.podman_engine import PodmanEngine
from tests.compose.scenario import Scenario
from tests.report import Report

FOLDER = ROOT / "build" / "podman"
BUILT = [name for name, service in SERVICES.items() if "build" in service]
UP = "the services start in their order and are healthy"
TRAINS = "a job that is submitted through the published port trains"
STOPPED = "a worker that is stopped saves its job, which waits and then ends exact"
KILLED = "a killed worker's job continues from its checkpoint and ends exact"
GPU_IMPORTS = "worker-gpu's image can import its trainer"
GPU_TRAINS = "worker-gpu trains on its GPU"
IMPORT_TRAINER = ("python", "-c", "import torch, vllm, grpo.run")


def main() -> int:
    report = Report(failures=(EngineError, DuetError), say=partial(print, flush=True))
    port = free_port()
    engine = _engine(port, report)
    if engine is None:
        return report.exit_code
    for service in BUILT:
        report.measure(_builds(service), lambda service=service: engine.build(service))
    try:
        _measure_services(engine, port, report)
    finally:
        engine.remove()
    image = SERVICES["worker-gpu"]["image"]
    report.measure(
        GPU_IMPORTS,
        lambda: engine.run(engine.program, "run", "--rm", image, *IMPORT_TRAINER),
        needs=[_builds("worker-gpu")],
    )
    report.leave_out(GPU_TRAINS, "this test has no NVIDIA GPU")
    for guarantee, why in engine.differences:
        report.leave_out(guarantee, why)
    return report.exit_code


def _engine(port: int, report: Report) -> Engine | None:
    """Return the first engine that works here."""
    secret = secrets.token_hex(16)
    variables = {"POSTGRES_PASSWORD": secret, "VALKEY_PASSWORD": secret, "DUET_PORT": str(port)}
    no_docker = Engine.missing()
    if not no_docker:
        return Engine(variables)
    no_podman = PodmanEngine.missing()
    if not no_podman:
        return PodmanEngine(variables, FOLDER)
    report.leave_out("docker-compose.yml", f"no Docker ({no_docker}); no Podman ({no_podman})")
    return None


def _measure_services(engine: Engine, port: int, report: Report) -> None:
    scenario = Scenario(engine, f"http://127.0.0.1:{port}")
    needed = [_builds(service) for service in BUILT if service != "worker-gpu"]
    report.measure(UP, scenario.start, needs=needed)
    report.measure(TRAINS, scenario.train, needs=[UP])
    report.measure(STOPPED, scenario.stop_worker, needs=[TRAINS])
    report.measure(KILLED, scenario.kill_worker, needs=[TRAINS])


def _builds(service: str) -> str:
    return f"{SERVICES[service]['build']['dockerfile']} builds"


if __name__ == "__main__":
    sys.exit(main())
