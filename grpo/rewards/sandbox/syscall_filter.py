"""System calls allowed to a grader, as a seccomp filter: a BPF program for the kernel.

All others fail, so that parts of the kernel that a computation does not need are unreachable:
System V shared memory and message queues (not covered by any process limit), io_uring, keyrings,
sockets of any family, namespaces, tracing, modules.  Part of the inner side: standard library only.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

PR_GET_NAME, PR_SET_NAME, PR_GET_NO_NEW_PRIVS = 16, 15, 39
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h
KILL_PROCESS, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h: of 32 bits
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
X32 = 0x40000000  # marks the x32 ABI on x86-64, with other numbers
AF_UNIX = 1
TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX = 0x5401, 0x541B, 0x5421, 0x5450, 0x5451

# Numbers from asm/unistd_64.h and asm-generic/unistd.h of Linux.
X86_64 = """
read=0 write=1 open=2 close=3 stat=4 fstat=5 lstat=6 poll=7 lseek=8 mmap=9 mprotect=10 munmap=11
brk=12 rt_sigaction=13 rt_sigprocmask=14 rt_sigreturn=15 pread64=17 pwrite64=18 readv=19 writev=20
access=21 pipe=22 select=23 sched_yield=24 mremap=25 madvise=28 dup=32 dup2=33 nanosleep=35
getitimer=36 setitimer=38 getpid=39 sendto=44 recvfrom=45 sendmsg=46 recvmsg=47 shutdown=48
getsockname=51 getpeername=52 getsockopt=55 exit=60 wait4=61 kill=62 uname=63 fcntl=72 getdents=78
getcwd=79 chdir=80 readlink=89 umask=95 gettimeofday=96 getrlimit=97 getrusage=98 sysinfo=99
times=100 getuid=102 getgid=104 geteuid=107 getegid=108 getppid=110 getpgrp=111 getgroups=115
getresuid=118 getresgid=120 getpgid=121 getsid=124 sigaltstack=131 setrlimit=160 gettid=186
tkill=200 time=201 futex=202 sched_getaffinity=204 getdents64=217 set_tid_address=218
restart_syscall=219 fadvise64=221 clock_gettime=228 clock_getres=229 clock_nanosleep=230
exit_group=231 epoll_wait=232 epoll_ctl=233 tgkill=234 waitid=247 openat=257 newfstatat=262
readlinkat=267 faccessat=269 pselect6=270 ppoll=271 set_robust_list=273 epoll_pwait=281
eventfd2=290 epoll_create1=291 dup3=292 pipe2=293 prlimit64=302 getcpu=309 getrandom=318
memfd_create=319 membarrier=324 statx=332 rseq=334 close_range=436 faccessat2=439
"""
AARCH64 = """
getcwd=17 eventfd2=19 epoll_create1=20 epoll_ctl=21 epoll_pwait=22 dup=23 dup3=24 fcntl=25
faccessat=48 chdir=49 openat=56 close=57 pipe2=59 getdents64=61 lseek=62 read=63 write=64 readv=65
writev=66 pread64=67 pwrite64=68 pselect6=72 ppoll=73 readlinkat=78 newfstatat=79 fstat=80 exit=93
exit_group=94 waitid=95 set_tid_address=96 futex=98 set_robust_list=99 nanosleep=101 getitimer=102
setitimer=103 clock_gettime=113 clock_getres=114 clock_nanosleep=115 sched_getaffinity=123
sched_yield=124 restart_syscall=128 kill=129 tkill=130 tgkill=131 sigaltstack=132 rt_sigaction=134
rt_sigprocmask=135 rt_sigreturn=139 getresuid=148 getresgid=150 times=153 getpgid=155 getsid=156
getgroups=158 uname=160 getrlimit=163 setrlimit=164 getrusage=165 umask=166 getcpu=168
gettimeofday=169 getpid=172 getppid=173 getuid=174 geteuid=175 getgid=176 getegid=177 gettid=178
sysinfo=179 getsockname=204 getpeername=205 sendto=206 recvfrom=207 getsockopt=209 shutdown=210
sendmsg=211 recvmsg=212 brk=214 munmap=215 mremap=216 mmap=222 fadvise64=223 mprotect=226
madvise=233 wait4=260 prlimit64=261 getrandom=278 memfd_create=279 membarrier=283 statx=291
rseq=293 close_range=436 faccessat2=439
"""

Instruction = tuple[int, int, int, int]
"""A BPF instruction: operation, instructions to skip if true and if false, operand."""


def table(text: str) -> dict[str, int]:
    pairs = (entry.split("=") for entry in text.split())
    return {name: int(number) for name, number in pairs}


# By machine: its kernel constant, the calls allowed, the calls that make a process, and the calls
# allowed only with some values of the first or second argument.
MACHINES = {
    "x86_64": (
        0xC000003E,
        table(X86_64),
        (56, 57, 58, 435),
        {"prctl": 157, "ioctl": 16, "socket": 41, "socketpair": 53},
    ),
    "aarch64": (
        0xC00000B7,
        table(AARCH64),
        (220, 435),
        {"prctl": 167, "ioctl": 29, "socket": 198, "socketpair": 199},
    ),
}
CONDITIONS = {
    # The death signal stays: without it the process would outlive its parent.
    "prctl": (0, (PR_GET_NAME, PR_SET_NAME, PR_GET_NO_NEW_PRIVS), errno.EPERM),
    "ioctl": (1, (TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX), errno.ENOTTY),
    "socket": (0, (), errno.ENETUNREACH),
    "socketpair": (0, (AF_UNIX,), errno.EAFNOSUPPORT),  # used by asyncio
}


def forbid_other_calls() -> None:
    """Install the filter for the rest of this process's life.

    Raises:
        OSError: the kernel accepts no filter, or the machine's architecture is unknown.
    """
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"seccomp: no table of system calls for {machine}")
    instructions = b"".join(struct.pack("=HBBI", *one) for one in program(machine))
    content = ctypes.create_string_buffer(instructions)
    header = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(content))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def program(machine: str) -> list[Instruction]:
    """Return the filter program; the first return instruction reached decides."""
    architecture, allowed, forks, conditional = MACHINES[machine]
    instructions: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL_PROCESS),
    ]
    instructions += answered(allowed.values(), ALLOW)
    instructions += answered(forks, ERRNO | errno.EAGAIN)  # as at a process limit
    for name, (argument, values, otherwise) in CONDITIONS.items():
        block = [
            (LOAD, 0, 0, ARGUMENTS + 8 * argument),
            *answered(values, ALLOW),
            (RETURN, 0, 0, ERRNO | otherwise),
        ]
        instructions += [(EQUAL, 0, len(block), conditional[name]), *block]
    return [*instructions, (RETURN, 0, 0, ERRNO | errno.EPERM)]


def answered(values: Iterable[int], answer: int) -> list[Instruction]:
    """Return a verdict for each of these values of the loaded word."""
    return [
        instruction
        for value in sorted(values)
        for instruction in ((EQUAL, 0, 1, value), (RETURN, 0, 0, answer))
    ]
