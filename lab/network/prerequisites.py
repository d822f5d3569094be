"""What the host must offer before a lab can start, each thing with what was found and the remedy.

``facts`` looks, ``prerequisites`` judges (pure), ``check`` does both, for the doctor.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Program -> Debian package that brings it.
TOOLS = {
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "tini": "tini",
    "ip": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
}
#: Also needed by an ordinary user, to map its subordinate ids.
USER_TOOLS = {"newuidmap": "uidmap", "newgidmap": "uidmap"}

_SYSCTLS = (
    "user.max_user_namespaces",
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
)


@dataclass(frozen=True)
class Prerequisite:
    """One thing the lab needs. ``found`` says what is there; ``remedy`` is empty when it is well."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Facts:
    """What was seen on the host. ``tools``: program -> path or None; ``trial``: exit code and standard error
    of an attempt to make the very namespaces the lab wants."""

    root: bool
    user: str
    tools: Mapping[str, str | None]
    unshare_version: tuple[int, ...]
    subuid: str
    subgid: str
    chrooted: bool
    tun: str
    trial: tuple[int, str]
    sysctls: Mapping[str, str] = field(default_factory=dict)


def check() -> list[Prerequisite]:
    """Look at this host and judge it."""
    return prerequisites(facts())


def prerequisites(seen: Facts) -> list[Prerequisite]:
    """Judge what was seen; pure."""
    wanted = TOOLS if seen.root else {**TOOLS, **USER_TOOLS}
    result = [
        Prerequisite(tool, True, path)
        if (path := seen.tools.get(tool))
        else Prerequisite(tool, False, "not installed", f"as root: apt-get install {package}")
        for tool, package in wanted.items()
    ]
    result.append(_tun(seen))
    if seen.root:
        result.append(Prerequisite("user namespaces", True, "not needed: running as root"))
    else:
        result += [_unshare_version(seen), _subordinate("subuid", seen.subuid, seen.user)]
        result += [_subordinate("subgid", seen.subgid, seen.user), _user_namespaces(seen)]
        result.append(_apparmor(seen))
    result.append(_namespaces(seen))
    return result


def _tun(seen: Facts) -> Prerequisite:
    if seen.tun == "":
        return Prerequisite("/dev/net/tun", True, "can be opened")
    remedy = (
        "as root: modprobe tun; in a container, hand the device in"
        if "No such" in seen.tun
        else "as root: chmod 0666 /dev/net/tun (udev's own setting)"
    )
    return Prerequisite("/dev/net/tun", False, seen.tun, remedy)


def _unshare_version(seen: Facts) -> Prerequisite:
    found = ".".join(map(str, seen.unshare_version)) or "unknown"
    if seen.unshare_version >= (2, 38):
        return Prerequisite("unshare --map-auto", True, f"util-linux {found}")
    return Prerequisite(
        "unshare --map-auto", False, f"util-linux {found}", "needs util-linux 2.38 or newer, or run as root"
    )


def _subordinate(kind: str, text: str, user: str) -> Prerequisite:
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        count = rest.partition(":")[2]
        if name == user and count.isdigit() and int(count) >= 65536:
            return Prerequisite(f"/etc/{kind}", True, line)
    option = "--add-subuids" if kind == "subuid" else "--add-subgids"
    return Prerequisite(
        f"/etc/{kind}",
        False,
        f"no range of 65536 ids for '{user}'",
        f"as root: usermod {option} 100000-165535 {user}",
    )


def _user_namespaces(seen: Facts) -> Prerequisite:
    name = "user namespaces"
    if seen.chrooted:
        return Prerequisite(
            name, False, "this process was started in a chroot, where the kernel refuses them",
            "start outside the chroot, or enter it with pivot_root (systemd-nspawn), or run as root",
        )  # fmt: skip
    if seen.sysctls.get("user.max_user_namespaces") == "0":
        return Prerequisite(
            name, False, "user.max_user_namespaces is 0", "as root: sysctl user.max_user_namespaces=10000"
        )
    if seen.sysctls.get("kernel.unprivileged_userns_clone") == "0":
        return Prerequisite(
            name, False, "kernel.unprivileged_userns_clone is 0",
            "as root: sysctl kernel.unprivileged_userns_clone=1",
        )  # fmt: skip
    return Prerequisite(name, True, "not switched off")


def _apparmor(seen: Facts) -> Prerequisite:
    name = "AppArmor's restriction of user namespaces"
    if seen.sysctls.get("kernel.apparmor_restrict_unprivileged_userns") != "1":
        return Prerequisite(name, True, "not in force")
    works = seen.trial[0] == 0  # a profile for unshare may allow what the sysctl forbids
    if works:
        return Prerequisite(name, True, "in force, but unshare may")
    return Prerequisite(
        name, False, "in force (kernel.apparmor_restrict_unprivileged_userns is 1)",
        "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root",
    )  # fmt: skip


def _namespaces(seen: Facts) -> Prerequisite:
    code, said = seen.trial
    if code == 0:
        return Prerequisite("namespaces", True, "a trial made them")
    remedy = (
        "in a container, it needs the right to make namespaces and to mount (CAP_SYS_ADMIN)"
        if seen.root
        else "mend what is listed above; in a container or virtual machine, its host must permit it"
    )
    return Prerequisite("namespaces", False, f"a trial failed ({code}): {said.strip() or 'no word'}", remedy)


def facts() -> Facts:
    """Look at this host. Starts two short-lived programs."""
    root = os.geteuid() == 0
    tools = {tool: _which(tool) for tool in (*TOOLS, *USER_TOOLS)}
    return Facts(
        root=root,
        user=_user(),
        tools=tools,
        unshare_version=_version(tools["unshare"]),
        subuid=_text("/etc/subuid"),
        subgid=_text("/etc/subgid"),
        chrooted=_chrooted(),
        tun=_open_error("/dev/net/tun"),
        trial=_trial(root),
        sysctls={name: _text("/proc/sys/" + name.replace(".", "/", 1)).strip() for name in _SYSCTLS},
    )


def _which(tool: str) -> str | None:
    # An ordinary user's PATH on Debian lacks the sbin folders, where ip and dnsmasq are.
    return shutil.which(tool) or shutil.which(tool, path="/usr/local/sbin:/usr/sbin:/sbin")


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _open_error(path: str) -> str:
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _chrooted() -> bool:
    """A root that is no mount point of ours, or that is not the root of process 1, is a chroot."""
    mounts = [line.split() for line in _text("/proc/self/mountinfo").splitlines()]
    if mounts and not any(len(entry) > 4 and entry[4] == "/" for entry in mounts):
        return True
    try:
        return not os.path.samefile("/", "/proc/1/root/.")
    except OSError:
        return False  # an ordinary user may not look there


def _version(unshare: str | None) -> tuple[int, ...]:
    if unshare is None:
        return ()
    match = re.search(r"(\d+)\.(\d+)", _run([unshare, "--version"])[1])
    return tuple(int(part) for part in match.groups()) if match else ()


def _trial(root: bool) -> tuple[int, str]:
    users = [] if root else ["--map-root-user", "--map-auto"]
    return _run(
        ["unshare", *users, "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "true"]
    )


def _run(command: Sequence[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout + done.stderr
