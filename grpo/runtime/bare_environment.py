"""Removal of all variables from a process's environment, except harmless ones.

Processes that parse tenants' files are started by processes whose environment holds the database's
password, the artifact store's keys and the key of the projects' secrets.
"""

import os
from ctypes import CDLL, POINTER, c_void_p, memset, string_at
from itertools import count

# Program paths, temporary files, locale and time zone, numbers of threads.
NAMES = """
PATH HOME TMPDIR TEMP TMP LD_LIBRARY_PATH LANG LANGUAGE TZ
PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONUTF8 PYTHONHASHSEED PYTHONWARNINGS
OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS
"""
FAMILY = "LC_"


def strip_environment() -> None:
    """Remove all other variables, and overwrite their values, which the process's memory and
    `/proc/PID/environ` would otherwise keep until it ends."""
    strings = POINTER(c_void_p).in_dll(CDLL(None), "environ")
    for number in count():
        address = strings[number]
        if address is None:
            break
        name, _, value = string_at(address).partition(b"=")
        if not _is_harmless(os.fsdecode(name)):
            memset(address + len(name) + 1, 0, len(value))
    for name in [name for name in os.environ if not _is_harmless(name)]:
        del os.environ[name]


def _is_harmless(name: str) -> bool:
    return name in NAMES.split() or name.startswith(FAMILY)
