"""Podman's settings, so that it neither reads nor changes the machine's own."""

from pathlib import Path

CONTAINERS = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"

[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
"""For a machine without systemd; runc and not crun, which refuses hybrid control groups."""

STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/run"
"""
REGISTRIES = """
unqualified-search-registries = ["docker.io"]
"""


def podman_environment(folder: Path) -> dict[str, str]:
    """Write the settings into the folder, and return the variables that lead Podman to them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "CONTAINERS_CONF": ("containers.conf", CONTAINERS),
        "CONTAINERS_STORAGE_CONF": ("storage.conf", STORAGE),
        "CONTAINERS_REGISTRIES_CONF": ("registries.conf", REGISTRIES),
    }
    for name, text in files.values():
        (folder / name).write_text(text.replace("{folder}", str(folder)))
    return {variable: str(folder / name) for variable, (name, _) in files.items()}
