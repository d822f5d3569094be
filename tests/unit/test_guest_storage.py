"""State and smsts.log on disks that come and go; the channel's lines."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from lab.guest import storage
from lab.guest.link import Link, find_port
from lab.guest.storage import FileLog, FileStore
from lab.hypervisor.protocol import DiskSpec, MachineSpec
from lab.sequence import smsts
from lab.simulation.disks import Growing, Volume
from lab.simulation.machine import Machine
from lab.simulation.ports import ModelLog
from tests.smsts_log import records

DATA = "C:\\_SMSTaskSequence"


class Kept(dict[str, Any]):
    """What a store is given."""

    def to_json(self) -> dict[str, Any]:
        return dict(self)


@pytest.fixture
def drives(tmp_path: Path) -> dict[str, str]:
    for drive in ("c", "x"):
        (tmp_path / drive).mkdir()
    return {"C:": str(tmp_path / "c"), "X:": str(tmp_path / "x")}


def test_the_state_goes_along_to_the_disk(drives: dict[str, str]) -> None:
    store = FileStore(drives)
    saved = {"format": 1, "sequence": {"name": "ä"}, "state": {"pointer": 3}}
    store.save(Kept(saved))
    store.relocate("X:\\_SMSTaskSequence")
    assert not list(Path(drives["X:"]).iterdir()), "a state on the RAM disk survives nothing"
    store.relocate(DATA)
    assert FileStore(drives, DATA).load() == saved
    store.remove()
    assert FileStore(drives, DATA).load() is None


def test_a_write_that_fails_leaves_the_old_state(
    drives: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(drives, DATA)
    store.save(Kept(n=1))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(OSError):
        store.save(Kept(n=2))
    assert FileStore(drives, DATA).load() == {"n": 1}


def test_the_log_moves_with_its_content_and_has_one_mark(drives: dict[str, str]) -> None:
    log = FileLog(drives, "X:\\Windows\\temp\\smstslog")
    log.write("one\r\n")
    log.move(DATA + "\\Logs\\smstslog")
    log.write("two\r\n")
    resumed = FileLog(drives)
    resumed.write("three\r\n")
    resumed.move(DATA + "\\Logs\\smstslog")
    resumed.move("C:\\Windows\\CCM\\Logs")
    content = (Path(drives["C:"]) / "Windows/CCM/Logs/smsts.log").read_bytes()
    assert content == b"\xef\xbb\xbfone\r\ntwo\r\nthree\r\n"
    assert not (Path(drives["X:"]) / "Windows/temp/smstslog").exists()
    assert not (Path(drives["C:"]) / "_SMSTaskSequence/Logs/smstslog").exists()


def a_record(second: int) -> str:
    time, date = smsts.stamp(1_767_258_000.0 + second)
    return smsts.format_record(
        f"number {second}", component="TSManager", time=time, date=date, type=1, thread=1, file="engine.cxx:1"
    )


def test_a_full_log_is_rolled_and_the_whole_set_moves_the_same_on_a_machine_and_in_the_model(
    drives: dict[str, str],
) -> None:
    machine = Machine.blank(MachineSpec("PC-1", "u", "uefi", 512, (DiskSpec(1 << 30),), ()))
    machine.letters = {"C:": Volume(0, 1, "Primary", "NTFS", "Windows")}
    limit, folder = 3 * len(a_record(0)) + 9, DATA + "\\Logs\\smstslog"
    for log in (FileLog(drives, folder, limit=limit), ModelLog(machine, folder, limit=limit)):
        for second in range(8):
            log.write(a_record(second))
        log.move("C:\\Windows\\CCM\\Logs")
        log.write(a_record(8))
    real = Path(drives["C:"]) / "Windows/CCM/Logs"
    names = sorted(path.name for path in real.iterdir())
    assert names == ["smsts-20260101-090003.log", "smsts-20260101-090006.log", "smsts.log"]
    for name in names:
        content = machine.letters["C:"].files.get(f"Windows\\CCM\\Logs\\{name}")
        assert isinstance(content, Growing) and content.whole() == (real / name).read_bytes()
    whole = [item.message for name in names for item in records((real / name).read_bytes())]
    assert whole == [f"number {second}" for second in range(9)]
    assert not list((Path(drives["C:"]) / "_SMSTaskSequence").rglob("*.log"))


def test_what_is_on_a_drive_that_goes_away_is_kept_in_memory(drives: dict[str, str]) -> None:
    store, log = FileStore(drives, DATA), FileLog(drives, DATA + "\\Logs\\smstslog")
    folder = drives.pop("C:")
    store.save(Kept(n=1))
    log.write("one\r\n")
    assert store.load() == {"n": 1}
    drives["D:"] = folder
    store.relocate("D:\\_SMSTaskSequence")
    log.move("D:\\Logs")
    assert FileStore(drives, "D:\\_SMSTaskSequence").load() == {"n": 1}
    assert (Path(folder) / "Logs/smsts.log").read_bytes() == b"\xef\xbb\xbfone\r\n"


def test_lines_are_numbered_and_written_at_once(tmp_path: Path) -> None:
    port = tmp_path / "port"
    port.touch()
    link = Link(str(port), "boot-1", console=io.StringIO())
    link.send("hello", {"phase": "pe"})
    first = json.loads(port.read_text())
    assert (first["n"], first["boot"], first["kind"], first["data"]) == (
        1,
        "boot-1",
        "hello",
        {"phase": "pe"},
    )
    link.send("bye", {})
    assert [json.loads(line)["n"] for line in port.read_text().splitlines()] == [1, 2]


def test_a_machine_without_the_port_says_so_once() -> None:
    console = io.StringIO()
    link = Link(None, "b", console=console)
    link.send("hello", {})
    link.send("bye", {})
    assert console.getvalue().count("no channel") == 1
    assert link.receive(0.0) is None


def test_the_port_is_found_by_its_name(tmp_path: Path) -> None:
    for port, name in (("vport0p1", "org.qemu.guest_agent.0"), ("vport0p2", "org.osdlab.agent.0")):
        (tmp_path / "class/virtio-ports" / port).mkdir(parents=True)
        (tmp_path / "class/virtio-ports" / port / "name").write_text(name + "\n")
    assert find_port(sys=str(tmp_path), dev="/dev") == "/dev/vport0p2"
    assert find_port("other", sys=str(tmp_path)) is None
