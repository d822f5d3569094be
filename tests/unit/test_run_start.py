"""Starts from the network that the site decides about, and the person at the keyboard."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import pytest

from lab.clock import VirtualClock
from lab.errors import LabFault, PhaseTimeout
from lab.hypervisor.memory import MemoryGuest, MemoryHypervisor
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.network.dnsmasq import HOLD
from lab.network.ipxe import F12_SECONDS
from lab.run.follow import site_seen
from lab.run.keyboard import keys
from lab.run.listener import Listener
from lab.run.native import NativeStarts
from lab.run.phases import Seen
from lab.run.plan import MachinePlan, RunPlan
from lab.run.progress import Patience
from lab.run.session import MachineSession
from lab.timeline import Timeline

MAC = "52:54:00:00:00:01"
ABORT = {"action": "abort", "reasons": ["no deployment applies"], "boot_image": "", "mandatory": False}
AVAILABLE = {"action": "boot", "reasons": [], "boot_image": "LAB00002", "mandatory": False}
REQUIRED = {**AVAILABLE, "mandatory": True}
KERNEL = "This kernel requires an x86-64 CPU, but only detected an i686 CPU."


class Lab:
    def __init__(
        self,
        folder: Path,
        firmware: Literal["uefi", "bios"],
        answers: dict[str, Any],
        boot_order: tuple[Literal["disk", "network"], ...],
        live: bool,
    ) -> None:
        self.spec = MachineSpec(
            name="PC-1", uuid="u", firmware=firmware, memory=512, disks=(DiskSpec(1 << 20),),
            nics=(NicSpec(MAC),), boot_order=boot_order,
        )  # fmt: skip
        hypervisor = MemoryHypervisor()
        machine = hypervisor.create(self.spec)
        self.clock = VirtualClock()
        self.timeline = Timeline(self.clock)
        plan = MachinePlan(self.spec, "10.77.0.10", {}, answers=answers)
        self.session = MachineSession(
            plan, machine, timeline=self.timeline, clock=self.clock, folder=folder, inbox=SimpleQueue(),
            patience=Patience(), live=live,
        )  # fmt: skip
        self.session.power_on()
        self.guest: MemoryGuest = hypervisor.guest(machine)
        for source, kind in (("hypervisor", "started"), ("tftp", "sent")):
            self.see(source, kind)

    def see(self, source: str, kind: str, **data: Any) -> None:
        self.session.observe(Seen("PC-1", source, kind, data))

    def say(self, text: str) -> None:
        self.see("console", "line", text=text)
        self.session.check()

    def reasons(self, kind: str) -> list[str]:
        return [e.data["reason"] for e in self.timeline.events if (e.source, e.kind) == ("lab", kind)]

    def pictures(self) -> list[str]:
        """What the attendant was asked, and answered, as pictures say."""
        all_of_them = [e.data["reason"] for e in self.timeline.events if e.kind == "screenshot"]
        return [reason for reason in all_of_them if reason in ("f12", "wizard", "answer")]


Make = Callable[..., Lab]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(
        firmware: Literal["uefi", "bios"] = "uefi",
        boot_order: tuple[Literal["disk", "network"], ...] = ("disk", "network"),
        live: bool = False,
        **answers: Any,
    ) -> Lab:
        return Lab(tmp_path, firmware, answers, boot_order, live)

    return build


@pytest.mark.parametrize(
    ("firmware", "text"),
    [("uefi", "osdlab: PXE: abort: no deployment applies"), ("bios", "No bootable device."),
     ("uefi", 'BdsDxe: failed to load Boot0002 "UEFI PXEv4 (MAC:525400000001)" from PciRoot')],
)  # fmt: skip
def test_a_machine_that_the_site_refuses_is_over_and_nobody_is_at_fault(
    make: Make, firmware: str, text: str
) -> None:
    lab = make(firmware)
    lab.see("site", "pxe", **ABORT)
    lab.say(text)
    assert lab.session.over
    assert lab.reasons("not-started") == ["the site's PXE decision is abort: no deployment applies"]


def test_without_a_decision_the_same_words_are_the_labs_fault(make: Make) -> None:
    with pytest.raises(LabFault, match="nothing to boot from"):
        make("bios").say("No bootable device.")


def test_what_stands_behind_the_network_in_the_boot_order_gets_its_turn(make: Make) -> None:
    lab = make(boot_order=("network", "disk"))
    lab.see("site", "pxe", **ABORT)
    lab.say("osdlab: PXE: abort: no deployment applies")
    lab.clock.pause(100.0)  # the firmware tries HTTP boot
    lab.session.check()
    assert not lab.session.over
    lab.see("hypervisor", "reset")
    lab.clock.pause(100.0)
    with pytest.raises(PhaseTimeout):
        lab.session.check()


def test_a_machine_whose_sequence_began_before_is_unfinished(make: Make) -> None:
    lab = make()
    lab.see("engine", "sequence-started")
    lab.see("hypervisor", "reset")
    lab.see("site", "pxe", **ABORT)
    lab.say("osdlab: PXE: abort: no deployment applies")
    assert lab.reasons("not-started") == [] and len(lab.reasons("unfinished")) == 1


def test_a_boot_image_for_another_processor_is_a_reason(make: Make) -> None:
    lab = make("bios")
    lab.see("site", "pxe", **REQUIRED)
    lab.see("tftp", "sent", file="labpe-x64.img")
    lab.say(KERNEL)
    assert lab.session.over and KERNEL in lab.reasons("not-started")[0]


def test_a_live_machine_that_did_not_start_waits_for_whoever_commands_it(make: Make) -> None:
    lab = make(live=True)
    lab.see("site", "pxe", **ABORT)
    lab.say("osdlab: PXE: abort: no deployment applies")
    lab.clock.pause(1000.0)
    lab.session.check()
    assert not lab.session.over and len(lab.reasons("not-started")) == 1
    lab.see("hypervisor", "stopped")  # somebody in the machine, or its firmware, switched it off
    lab.clock.pause(30.0)
    lab.session.check()
    assert lab.session.over and not lab.session.on


def test_a_live_machine_whose_system_stays_up_waits_for_whoever_commands_it(make: Make) -> None:
    lab = make(live=True)
    lab.see("engine", "sequence-started")
    lab.see("engine", "sequence-finished", result="success", code=0)
    lab.guest.power_off()
    lab.session.power_on()
    lab.see("hypervisor", "started")
    lab.say("osdlab: no task sequence is going on; the system stays up")
    lab.clock.pause(1000.0)
    lab.session.check()
    assert not lab.session.over and len(lab.reasons("not-started")) == 1
    assert not lab.reasons("unfinished"), "the sequence of the start before was over"


def test_f12_is_pressed_once_where_the_prompt_is_seen(make: Make) -> None:
    lab = make(f12=True)
    lab.say("Press F12 for network service boot...")  # nobody offered anything yet
    lab.see("site", "pxe", **AVAILABLE)
    assert lab.guest.keys == []
    for _ in range(2):
        lab.say("Press F12 for network service boot...")
    assert lab.guest.keys == ["KEY_F12"] and lab.pictures() == ["f12"]


def test_f12_is_pressed_again_where_nobody_sees_the_prompt_until_the_boot_files_are_fetched(
    make: Make,
) -> None:
    lab = make("bios", f12=True)
    lab.see("site", "pxe", **AVAILABLE)
    for _ in range(3):
        lab.clock.pause(1.1)
        lab.session.check()
    assert lab.guest.keys == ["KEY_F12"] * 3
    lab.see("http", "request", path="/boot/labpe-x64.krn", status=200)
    lab.clock.pause(1.1)
    lab.session.check()
    assert len(lab.guest.keys) == 3
    assert len([e for e in lab.timeline.events if e.kind == "key-pressed"]) == 1


def test_f12_is_pressed_no_longer_than_the_prompt_stands(make: Make) -> None:
    lab = make("bios", f12=True)
    lab.see("site", "pxe", **AVAILABLE)
    lab.clock.pause(F12_SECONDS + 0.1)
    for _ in range(3):
        lab.session.check()
        lab.clock.pause(1.1)
    assert lab.guest.keys == []


def test_f12_of_one_start_is_not_pressed_at_the_next(make: Make) -> None:
    lab = make("bios", f12=True)
    lab.see("site", "pxe", **AVAILABLE)
    lab.see("hypervisor", "reset")
    for _ in range(3):
        lab.clock.pause(1.1)
        lab.session.check()
    assert lab.guest.keys == []


def test_only_the_prompt_itself_is_answered(make: Make) -> None:
    lab = make("uefi")
    lab.see("site", "pxe", **AVAILABLE)
    lab.say("Could not find kernel image: boot:")
    assert lab.guest.keys == []
    lab.say("boot:")
    assert lab.guest.keys == ["KEY_ENTER"]


def test_nothing_of_an_answer_is_typed_after_a_restart(make: Make) -> None:
    lab = make(variables={"Role": "x" * 50})
    lab.see("agent", "wizard", page="variable", name="Role", refused="")
    lab.session.check()
    lab.see("hypervisor", "reset")
    for _ in range(5):
        lab.clock.pause(5.0)
        lab.session.check()
    assert lab.guest.keys == ["KEY_X"] * 20


def test_what_a_kernel_says_is_no_word_of_the_firmwares(make: Make) -> None:
    lab = make()
    lab.see("site", "pxe", **REQUIRED)
    lab.see("tftp", "sent", file="labpe-x64.efi")
    assert lab.timeline.events[-1].phase == "pe-kernel"
    lab.say("efi: No bootable device. Shell>")
    assert not lab.session.over and lab.reasons("not-started") == []


@pytest.mark.parametrize("live", [True, False])
def test_a_sequence_that_nobody_continues_is_unfinished(make: Make, live: bool) -> None:
    lab = make(live=live)
    lab.see("engine", "sequence-started")
    lab.see("agent", "restart", target="HD")
    lab.see("hypervisor", "reset")
    lab.say("osdlab: nobody continues this machine")
    assert lab.reasons("unfinished") == ["osdlab: nobody continues this machine"]


@pytest.mark.parametrize(
    ("firmware", "text"),
    [("uefi", "osdlab: PXE: left: F12 was not pressed"), ("bios", "No bootable device.")],
)
def test_f12_left_is_why_the_machine_did_not_start(make: Make, firmware: str, text: str) -> None:
    lab = make(firmware, f12=False)
    lab.see("site", "pxe", **AVAILABLE)
    for _ in range(3):
        lab.clock.pause(5.0)
        lab.session.check()
    lab.say("Press F12 for network service boot...")
    lab.say(text)
    assert lab.guest.keys == [] and lab.pictures()[:1] == ["f12"]
    assert "F12 was not pressed" in lab.reasons("not-started")[0]


PAGE = {
    "page": "choose", "title": "Select a task sequence to run", "refused": "",
    "items": [{"number": 1, "name": "Office", "deployment": "LAB20001"},
              {"number": 2, "name": "Kiosk", "deployment": "LAB20002"}],
}  # fmt: skip


@pytest.mark.parametrize("chosen", ["lab20002", "Kiosk", "2"])
def test_the_wizards_choice_is_typed_as_its_number(make: Make, chosen: str) -> None:
    lab = make(choose=chosen)
    lab.see("agent", "wizard", **PAGE)
    lab.session.check()
    assert lab.guest.keys == ["KEY_2"] and lab.pictures() == ["wizard"]
    lab.clock.pause(1.0)
    lab.session.check()
    assert lab.guest.keys == ["KEY_2", "KEY_ENTER"] and lab.pictures() == ["wizard", "answer"]


def test_a_value_is_typed_in_portions_and_told_to_nobody(make: Make) -> None:
    value = "P@ssw0rd " * 5
    lab = make(variables={"adminpassword": value})
    lab.see("agent", "wizard", page="variable", name="AdminPassword", secret=True, refused="")
    while len(lab.guest.keys) < len(value) + 1:
        before = len(lab.guest.keys)
        lab.session.check()
        assert 0 < len(lab.guest.keys) - before <= 20
        lab.session.check()
        lab.clock.pause(2.0)
    assert tuple(lab.guest.keys) == keys(value)
    assert "P@ssw0rd" not in "".join(event.to_json() for event in lab.timeline.events)


@pytest.mark.parametrize(
    ("answers", "page", "message", "hint"),
    [
        ({}, PAGE, "asks which sequence to run, and the scenario does not", 'wizard:\n  choose: "Office"'),
        ({"choose": "LAB20009"}, PAGE, "does not offer 'LAB20009'", "wizard"),
        ({}, {"page": "variable", "name": "Role"}, "asks for variable Role", "variables"),
        ({"choose": "1"}, {"page": "choose", "items": 5}, "none of the wizard's", ""),
        ({"choose": "1"}, {**PAGE, "refused": "'1' is none of 1 to 0"}, "refuses", "wizard"),
        ({"variables": {"Role": "Büro"}}, {"page": "variable", "name": "Role"}, "'\\xfc'", "wizard"),
    ],
)  # fmt: skip
def test_a_page_without_a_good_answer_is_told_with_what_to_paste(
    make: Make, answers: dict[str, Any], page: dict[str, Any], message: str, hint: str
) -> None:
    lab = make(**answers)
    with pytest.raises(LabFault) as raised:
        lab.see("agent", "wizard", **page)
    assert message in raised.value.message and hint in raised.value.hint
    assert lab.guest.keys == []


def test_every_printable_character_has_its_key() -> None:
    assert keys("aA1!~ ") == (
        "KEY_A", "KEY_LEFTSHIFT+KEY_A", "KEY_1", "KEY_LEFTSHIFT+KEY_1", "KEY_LEFTSHIFT+KEY_GRAVE",
        "KEY_SPACE", "KEY_ENTER",
    )  # fmt: skip
    shifted = dict(zip('!@#$%^&*()_+{}|:"~<>?', "1234567890-=[]\\;'`,./", strict=True))  # a US keyboard's
    assert all(keys(upper)[0] == f"KEY_LEFTSHIFT+{keys(lower)[0]}" for upper, lower in shifted.items())
    printable = "".join(map(chr, range(32, 127)))
    assert len(set(keys(printable))) == len(printable) + 1


class Says:
    """A channel that says these things, and then nothing more."""

    def __init__(self, *said: bytes | LabFault) -> None:
        self._said = deque(said)

    def receive(self, seconds: float) -> bytes:
        said = self._said.popleft() if self._said else b""
        if isinstance(said, LabFault):
            raise said
        return said

    def send(self, data: bytes) -> None:
        raise AssertionError(data)


def test_a_silent_channel_is_listened_to_until_its_machine_is_off() -> None:
    inbox: SimpleQueue[Seen] = SimpleQueue()
    listener = Listener("PC-1", Says(b"", b"one", b"", b"", b"two"), inbox)
    assert [inbox.get(timeout=20).data for _ in range(2)] == [{"bytes": b"one"}, {"bytes": b"two"}]
    listener.machine_is_off()
    assert inbox.get(timeout=20) == Seen("PC-1", "lab", "channel-end", {"reason": ""})


def test_a_channel_that_breaks_says_why() -> None:
    inbox: SimpleQueue[Seen] = SimpleQueue()
    Listener("PC-1", Says(b"one", LabFault("its other end is gone")), inbox)
    assert inbox.get(timeout=20).kind == "channel-bytes"
    assert inbox.get(timeout=20).data == {"reason": "its other end is gone"}


def test_a_site_event_is_its_machines() -> None:
    line = json.dumps({"site": "pxe", "mac": MAC.upper(), "action": "abort"})
    assert site_seen(line, {MAC: "PC-1"}, {}) == Seen(
        "PC-1", "site", "pxe", {"mac": MAC.upper(), "action": "abort"}
    )
    assert site_seen('{"path": "/x"}', {}, {}) is None and site_seen("no JSON", {}, {}) is None


def test_who_is_kept_from_content_is_told_by_its_address() -> None:
    refused = {"package": "LAB00001", "client": "10.77.0.11"}
    seen = site_seen(
        json.dumps({"site": "denied", "mac": "", **refused}),
        {"52:54:00:00:00:07": "PC-2", MAC: "PC-1"},
        {"10.77.0.10": "PC-2", "10.77.0.11": "PC-1"},
    )
    assert seen == Seen("PC-1", "site", "denied", {"mac": MAC, **refused})
    (stranger,) = filter(None, [site_seen(json.dumps({"site": "denied", **refused}), {MAC: "PC-1"}, {})])
    assert (stranger.machine, stranger.data["mac"]) == ("", "")


class Native:
    """A native machine, its site and its clock. ``takes``: seconds the site needs."""

    def __init__(self, folder: Path, firmware: Literal["uefi", "bios"], **answers: Any) -> None:
        spec = MachineSpec("PC-1", "u", firmware, 512, (), (NicSpec(MAC, native=True),))
        names = ("labpe-x64.efi", "labpe-x64.krn", "labpe-x64.img", "pxelinux.0", "ldlinux.c32")
        for name in names:
            (folder / name).write_text(name)
        plan = RunPlan(
            "n", folder, folder, folder, (MachinePlan(spec, "10.77.0.10", {}, answers=answers),), {},
            {name: str(folder / name) for name in names}, command_line="quiet",
            boot_images={"LAB00002": {"uefi": names[0], "bios": names[1:3]}},
        )  # fmt: skip
        self.clock, self.told, self.asked = VirtualClock(), list[Seen](), list[dict[str, str]]()
        self.decision: dict[str, Any] = REQUIRED
        self.takes = 0.0
        root = folder / "tftp"
        root.mkdir()
        self.starts = NativeStarts(plan, root, ask=self._ask, clock=self.clock, tell=self.told.append)
        self.folder = root / "52-54-00-00-00-01"
        self.starts.started("PC-1")

    def _ask(self, question: Any) -> dict[str, Any]:
        self.asked.append(dict(question))
        self.clock.pause(self.takes)
        return self.decision

    def asks(self, number: int) -> list[str]:
        self.starts.asked("PC-1", f"PXEClient:Arch:{number:05}:UNDI:003000")
        return sorted(path.name for path in self.folder.rglob("*") if not path.is_dir())


def test_a_native_machines_folder_is_laid_when_its_firmware_asks(tmp_path: Path) -> None:
    native = Native(tmp_path, "uefi")
    assert native.folder.is_dir(), "from the beginning, or dnsmasq would look elsewhere"
    native.starts.asked("PC-1", "udhcp 1.35.0")
    assert native.asked == []
    assert native.asks(7) == ["labpe-x64.efi"] and native.asks(7) == ["labpe-x64.efi"]
    assert native.asked == [
        {"mac": MAC, "uuid": "u", "client_system": "7", "cpu": "x64", "start": f"pxe-{MAC}-1"}
    ]
    native.starts.started("PC-1")
    native.decision = ABORT
    assert native.asks(7) == [] and native.asked[-1]["start"] == f"pxe-{MAC}-2"
    assert native.told == []


def test_a_uefi_firmware_cannot_ask_so_f12_is_asked_before(tmp_path: Path) -> None:
    native = Native(tmp_path, "uefi", f12=False)
    native.decision = AVAILABLE
    assert native.asks(7) == []


def test_a_bios_gets_a_loader_that_asks_starts_or_leaves(tmp_path: Path) -> None:
    native = Native(tmp_path, "bios", f12=False)
    for decision, word in ((REQUIRED, "PROMPT 0"), (AVAILABLE, "ONTIMEOUT leave"), (ABORT, "LOCALBOOT")):
        native.decision = decision
        native.starts.started("PC-1")
        assert "pxelinux.0" in native.asks(0)
        assert word in (native.folder / "pxelinux.cfg" / "default").read_text()
    native.decision = {**ABORT, "action": "ignore"}
    native.starts.started("PC-1")
    assert native.asks(0) == []


def test_a_decision_that_comes_too_late_is_no_refusal(tmp_path: Path) -> None:
    native = Native(tmp_path, "uefi")
    native.takes = HOLD + 0.1
    native.asks(7)
    native.starts.started("PC-1")
    native.takes, native.decision = 0.0, {}
    native.asks(7)
    assert [seen.kind for seen in native.told] == ["pxe-unanswered"] * 2


def test_an_unanswered_question_ends_the_run(make: Make) -> None:
    with pytest.raises(LabFault, match="did not decide in time what machine 'PC-1' gets"):
        make().see("lab", "pxe-unanswered", reason="it took 3.0 s")
