"""Write requirements/gpu.txt, the lock of the extra `gpu`, from pip's own report; or check it.

`python .ci/lock_gpu.py` resolves the extra anew, and `python .ci/lock_gpu.py --check` resolves it
within the lock, which must be all of the result.  pip reads the metadata of PyPI's wheels alone,
for the Python and the platform that it runs on (the lock: CPython 3.11, Linux, x86-64); nothing is
downloaded or installed.  Three minutes.

pip's settings on this machine do not count, so that no local wheel or other index has a say, but
for those of the connection (PIP_CERT, PIP_CLIENT_CERT, PIP_PROXY, PIP_DEFAULT_TIMEOUT).
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements/gpu.txt"
TESTED = ROOT / "requirements/api.txt"
CONNECTION = ("PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT")
WHEELS = "https://files.pythonhosted.org/"
HEADER = """\
# One machine with NVIDIA GPUs: the trainer with official vLLM and CUDA PyTorch, and the local
# servers.  Written by `python .ci/lock_gpu.py` for CPython 3.11 on Linux, x86-64; installed with
# --no-deps.  "===": a build of torch for the CPU, such as 2.13.0+cpu, would satisfy "==".
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python .ci/lock_gpu.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="check the lock, change nothing")
    if not parser.parse_args(arguments).check:
        pins = resolved(constraints=TESTED)
        LOCK.write_text(HEADER + "".join(f"{line}\n" for line in pins))
        return 0
    locked = {line for line in LOCK.read_text().splitlines() if not line.startswith("#")}
    pins = set(resolved(constraints=LOCK))
    for line in sorted(locked ^ pins):
        print(f"{line}: {'nothing needs it' if line in locked else 'missing from the lock'}")
    return int(locked != pins)


def resolved(*, constraints: Path) -> list[str]:
    """Return the pins of all that the extra needs."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--quiet", "--only-binary=:all:", "--no-build-isolation", "--report", report]
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += [*options, "--constraint", constraints, f"{ROOT}[gpu]"]
        subprocess.run(command, env=_environment(), check=True)
        found = json.loads(report.read_text())["install"]
    return sorted(_pin(one) for one in found if one["metadata"]["name"] != "duet")


def _environment() -> dict[str, str]:
    """Return the environment without pip's settings, those of the connection excepted."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PIP_") or name in CONNECTION
    }
    return {**ours, "PIP_CONFIG_FILE": os.devnull}


def _pin(installed: Mapping[str, Mapping[str, str]]) -> str:
    """Return a distribution's line in the lock.

    Raises:
        SystemExit: a wheel is not PyPI's own.
    """
    metadata, url = installed["metadata"], installed["download_info"]["url"]
    if not url.startswith(WHEELS):
        raise SystemExit(f"{metadata['name']} {metadata['version']} is not from PyPI")
    name = re.sub(r"[-_.]+", "-", metadata["name"]).lower()
    return f"{name}{'===' if name == 'torch' else '=='}{metadata['version']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
