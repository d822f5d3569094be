"""The pure parts of what happens inside the namespaces, and the command line that makes them."""

from __future__ import annotations

import subprocess
import threading

import pytest

from lab.errors import LabFault
from lab.network import inside
from lab.network.sandbox import sandbox_command, start_sandbox

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
    lo:     100       1    0    0    0     0          0         0      200       1    0    0    0     0
  tap0:  123456      11    0    0    0     0          0         0  7890123      12    0    0    0     0
"""


def test_the_network_is_this_script() -> None:
    assert inside.network_script([inside.tap_name(0), inside.tap_name(1)]) == (
        "link set lo up\n"
        "link add osdlab0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n"
        "addr add 10.77.0.1/24 dev osdlab0\n"
        "addr add fd77::1/64 dev osdlab0 nodad\n"
        "link set osdlab0 up\n"
        "tuntap add dev tap0 mode tap\nlink set tap0 master osdlab0 up\n"
        "tuntap add dev tap1 mode tap\nlink set tap1 master osdlab0 up\n"
    )


def test_a_network_that_cannot_be_made_says_why() -> None:
    def refuse(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "ioctl(TUNSETIFF): Operation not permitted\n")

    with pytest.raises(LabFault, match=r"TUNSETIFF.*permitted"):
        inside.lay_network(["tap0"], run=refuse)


def test_traffic_is_what_went_to_the_machine() -> None:
    assert inside.traffic(DEV, "tap0") == 7890123
    assert inside.traffic(DEV, "tap1") == 0


def test_accounts_are_completed_only_where_they_are_missing() -> None:
    wanted = {"kvm": "kvm:x:64056:", "libvirt-qemu": "libvirt-qemu:x:1:{kvm}:"}
    assert inside.completed("root:x:0:\nkvm:x:104:\n", wanted, "104") == (
        "root:x:0:\nkvm:x:104:\nlibvirt-qemu:x:1:104:\n"
    )
    assert inside.completed("kvm:x:104:\nlibvirt-qemu:x:9:104:\n", wanted, "104") is None


def test_the_command_line_for_root_and_for_an_ordinary_user() -> None:
    root = sandbox_command(root=True, python="py", arguments=["-x"])
    user = sandbox_command(root=False, python="py", arguments=["-x"])
    assert root == [
        "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
        "tini", "-s", "--", "py", "-m", "lab.run.process", "-x",
    ]  # fmt: skip
    assert user == ["unshare", "--map-root-user", "--map-auto", *root[1:]]


def test_only_the_main_thread_may_start_a_sandbox() -> None:
    """The kernel's death signal goes by the thread that forked."""
    raised: list[BaseException] = []

    def start() -> None:
        try:
            start_sandbox(["true"], stderr=2)
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert raised
