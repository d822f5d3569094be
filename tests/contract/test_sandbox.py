"""The sandbox keeps its promises: nothing outside is written, and whatever dies, nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.clock import SystemClock, wait_until
from lab.network.prerequisites import check

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
MARK = "OSDLAB_TEST_MARK"
USER = "osdtester"
USER_ID = 64321
#: Run by the host's root: an ordinary user with subordinate ids and an openable tun device, in a mount
#: namespace of its own, so that the host's files stay as they are.
AS_USER = f"""
set -e
cd "$1"; shift
mount --bind passwd /etc/passwd; mount --bind group /etc/group
mount --bind subid /etc/subuid; mount --bind subid /etc/subgid
mount --bind tun /dev/net/tun
exec setpriv --reuid {USER_ID} --regid {USER_ID} --clear-groups -- "$@"
"""


class Front:
    """A front with its sandbox, as root or as an ordinary user."""

    def __init__(self, folder: Path, *, user: bool, **told: object) -> None:
        self.mark = uuid.uuid4().hex
        self.run, self.cache = folder / "run", folder / "cache"
        for place in (folder, self.run, self.cache):
            place.mkdir(exist_ok=True)
        outside = [str(PROJECT / f"x{self.mark}"), f"/etc/x{self.mark}", "/proc/sys/net/ipv4/ip_forward",
                   str(folder / "beside")]  # fmt: skip
        request = {
            "run": str(self.run), "cache": str(self.cache), "project": str(PROJECT),
            "outside": outside, **told,
        }  # fmt: skip
        command = [sys.executable, str(HERE / "sandbox_front.py"), json.dumps(request)]
        if user:
            command = [*self._as_user(folder), *command]
        env = {**os.environ, MARK: self.mark, "PYTHONPATH": f"{PROJECT}:{HERE}"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
        assert self.process.stdout
        self.found: dict[str, Any] = json.loads(self.process.stdout.readline() or "{}")

    def _as_user(self, folder: Path) -> list[str]:
        line = f"{USER}:x:{USER_ID}:{USER_ID}::{folder}:/bin/sh\n"
        (folder / "passwd").write_text(Path("/etc/passwd").read_text() + line)
        (folder / "group").write_text(Path("/etc/group").read_text() + f"{USER}:x:{USER_ID}:\n")
        (folder / "subid").write_text(f"{USER}:300000:65536\n")
        os.mknod(folder / "tun", 0o020666, os.stat("/dev/net/tun").st_rdev)
        os.chmod(folder / "tun", 0o666)
        for place in (folder, self.run, self.cache):
            os.chown(place, USER_ID, USER_ID)
        return ["unshare", "--mount", "--", "sh", "-c", AS_USER, "as-user", str(folder)]

    def left(self) -> list[str]:
        """What of this sandbox still runs or exists."""
        spaces = {link for name, link in self.found["namespaces"].items() if name in ("mnt", "net", "pid")}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environ = (entry / "environ").read_bytes()
                links = {os.readlink(entry / "ns" / name) for name in ("mnt", "net", "pid")}
            except OSError:
                continue
            if f"{MARK}={self.mark}".encode() in environ or links & spaces:
                found.append(entry.name)
        return found

    def inside(self) -> dict[str, int]:
        """Process ids by name: front, unshare, init, lab."""
        by_parent: dict[int, int] = {}
        for pid in map(int, self.left()):
            status = Path(f"/proc/{pid}/status").read_text()
            parent = int(status.split("PPid:")[1].split()[0])
            by_parent.setdefault(parent, pid)
        unshare = int(self.found["unshare"])
        init = by_parent[unshare]
        return {"front": self.process.pid, "unshare": unshare, "init": init, "lab": by_parent[init]}


def gone(front: Front, seconds: float = 120.0) -> None:
    front_exit = front.process.wait(seconds)
    assert front_exit is not None
    wait_until(
        lambda: not front.left(),
        waited_for="everything of the sandbox to be gone",
        seconds=seconds,
        clock=SystemClock(),
        last_seen=lambda: ", ".join(front.left()),
    )


def usable(user: bool) -> None:
    root = os.geteuid() == 0
    if user and not root:
        pytest.skip("this run is an ordinary user's already: the other case is it")
    if user and shutil.which("newuidmap") is None:
        pytest.skip("newuidmap is not installed (package uidmap)")
    if not user:
        wanted = {"namespaces", "/dev/net/tun", "unshare", "tini", "ip"}
        if bad := [item for item in check() if item.name in wanted and not item.ok]:
            pytest.skip(f"{bad[0].name}: {bad[0].found}; {bad[0].remedy}")
    if user and not Path("/dev/net/tun").exists():
        pytest.skip("no /dev/net/tun")


@pytest.fixture(params=[False, True], ids=["as-who-runs-this", "as-an-ordinary-user"])
def user(request: pytest.FixtureRequest) -> bool:
    usable(request.param)
    return bool(request.param)


@pytest.fixture
def place() -> Iterator[Path]:
    """Not pytest's own folder: that one is for its owner alone, and other users have to reach this."""
    with tempfile.TemporaryDirectory(prefix="osdlab-sandbox-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def fronts(place: Path) -> Iterator[list[Front]]:
    made: list[Front] = []
    yield made
    for front in made:
        front.process.kill()
        front.process.wait()
        assert front.process.stdout
        front.process.stdout.close()


def test_inside_only_run_folder_and_cache_can_be_written(
    place: Path, user: bool, fronts: list[Front]
) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    front = Front(place / "a", user=user)
    fronts.append(front)
    assert front.found["init"] == "tini"
    writes = front.found["writes"]
    writes.pop(str(place / "a" / "beside"))  # below /tmp, which is a private one inside: see the end
    assert set(writes.values()) == {"Read-only file system"}
    assert (front.found["run"], front.found["cache"], front.found["private"]) == ("written",) * 3
    assert (front.run / "inside.txt").read_text() == "x"
    assert front.found["accounts"] == 1
    assert "tap0" in front.found["links"] and "osdlab0" in front.found["links"]
    front.process.send_signal(signal.SIGKILL)
    gone(front)
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert "osdlab0" not in subprocess.run(["ip", "-br", "link"], capture_output=True, text=True).stdout
    assert not Path("/run/osdlab").exists()
    left = {path.name for path in (place / "a").iterdir()}
    assert left - {"passwd", "group", "subid", "tun"} == {"run", "cache"}


#: Who is killed, and whether the lab process misses the end of its input (then the death signal must do).
KILLS = [
    (("front",), False), (("front",), True), (("lab",), False), (("unshare",), False), (("init",), False),
    (("front", "unshare", "lab"), False),
]  # fmt: skip


@pytest.mark.parametrize(("victims", "deaf"), KILLS)
def test_whatever_is_killed_nothing_is_left(
    place: Path, user: bool, fronts: list[Front], victims: tuple[str, ...], deaf: bool
) -> None:
    front = Front(place / "a", user=user, deaf=deaf)
    fronts.append(front)
    assert len(front.left()) >= 6, "front, unshare, tini, the lab and its two children"
    pids = front.inside()
    for victim in victims:
        # The one before may have taken it along already.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[victim], signal.SIGKILL)
    gone(front)


def test_the_end_of_the_input_alone_ends_the_sandbox(place: Path, user: bool, fronts: list[Front]) -> None:
    front = Front(place / "a", user=user, close=True)
    fronts.append(front)
    gone(front)


def test_two_sandboxes_side_by_side(place: Path, user: bool, fronts: list[Front]) -> None:
    one, two = (Front(place / name, user=user) for name in "ab")
    fronts += [one, two]
    assert one.found["links"].count("osdlab0") >= 1 and two.found["links"].count("osdlab0") >= 1
    assert one.found["namespaces"]["net"] != two.found["namespaces"]["net"]
    one.process.kill()
    gone(one)
    assert len(two.left()) >= 6, "the other lives on"
    two.process.kill()
    gone(two)
