"""Start by root of a server that refuses to run as root (docs/decisions/0003)."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from duet.local.services.process import ServiceError

NOBODY = 65534
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
# The user still reads binaries and writes state below folders that only root may enter.
KEPT = "-all,+dac_override,+dac_read_search"
ANOTHER_USER = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    # Postgres looks for its programs by access(), which would not count them otherwise.
    "--securebits=+no_setuid_fixup",
    *(f"--inh-caps={KEPT}", f"--ambient-caps={KEPT}", f"--bounding-set={KEPT}"),
)


@dataclass(frozen=True)
class OrdinaryUser:
    """A prefix of commands, and the user to whom the server's data must belong."""

    prefix: tuple[str, ...]
    uid: int

    def own(self, folder: Path) -> None:
        """Change the owner of a folder and its content, where an earlier start had another user."""
        if os.geteuid() != 0 or folder.stat().st_uid == self.uid:
            return
        for path in (*folder.rglob("*"), folder):  # last the folder, which says that all is done
            os.chown(path, self.uid, self.uid, follow_symlinks=False)


def ordinary_user(*, death_signal: str) -> OrdinaryUser:
    """Return the current user, unless that is root: then a user namespace where root is user 1000,
    and where the machine allows none, as in most containers and in a chroot, the user `nobody`.

    Both clear the death signal, so it is set again.

    Raises:
        ServiceError: none of them works here.
    """
    if os.geteuid() != 0:
        return OrdinaryUser((), os.geteuid())
    again = ("--pdeathsig", death_signal, "--")
    if _works(NAMESPACE):
        return OrdinaryUser((*NAMESPACE, "setpriv", *again), 0)
    if _works(ANOTHER_USER):
        return OrdinaryUser((*ANOTHER_USER, *again), NOBODY)
    raise ServiceError(
        "Postgres does not run as root, and this machine allows neither a user namespace nor "
        "another user: run as an ordinary user, or set DATABASE_URL to a server of your own"
    )


def _works(prefix: tuple[str, ...]) -> bool:
    try:
        return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
