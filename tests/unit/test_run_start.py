"""Starts from the network that the site decides about, and the person at the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import pytest

from lab.clock import VirtualClock
from lab.errors import LabFault, PhaseTimeout
from lab.hypervisor.memory import MemoryGuest, MemoryHypervisor
from lab.hypervisor.protocol import DiskSpec, MachineSpec, NicSpec
from lab.network.ipxe import F12_SECONDS
from lab.run.keyboard import keys
from lab.run.phases import Seen
from lab.run.plan import MachinePlan
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


def test_a_sequence_that_lost_its_power_stays_unfinished_whatever_is_not_deployed_then(make: Make) -> None:
    lab = make(live=True)
    lab.see("engine", "sequence-started")
    lab.session.cut_power()
    for count in (1, 2):
        lab.guest.power_off()
        lab.session.power_on()
        lab.see("hypervisor", "started")
        lab.see("agent", "no-deployment", reason="no deployment is made available to PC-1 here")
        assert len(lab.reasons("unfinished")) == count
    assert not lab.reasons("not-started")


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


def test_an_unanswered_question_ends_the_run(make: Make) -> None:
    with pytest.raises(LabFault, match="did not decide in time what machine 'PC-1' gets"):
        make().see("lab", "pxe-unanswered", reason="it took 3.0 s")
