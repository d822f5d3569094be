"""The doctor's judgement over what was seen, each case with its remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.network.prerequisites import TOOLS, USER_TOOLS, Facts, Prerequisite, prerequisites

WELL = Facts(
    root=False,
    user="ann",
    tools={tool: f"/usr/bin/{tool}" for tool in (*TOOLS, *USER_TOOLS)},
    unshare_version=(2, 38),
    subuid="bob:1:5\nann:100000:65536\n",
    subgid="ann:100000:65536\n",
    chrooted=False,
    tun="",
    trial=(0, ""),
    sysctls={"user.max_user_namespaces": "96365"},
)
APPARMOR = {"kernel.apparmor_restrict_unprivileged_userns": "1"}


def bad(facts: Facts) -> list[Prerequisite]:
    return [item for item in prerequisites(facts) if not item.ok]


def test_nothing_is_wrong_where_everything_is_well() -> None:
    assert not bad(WELL)
    assert not bad(replace(WELL, root=True, subuid="", subgid="", unshare_version=(2, 37)))


@pytest.mark.parametrize(
    ("change", "name", "remedy"),
    [
        ({"tools": {**WELL.tools, "tini": None}}, "tini", "apt-get install tini"),
        ({"tools": {**WELL.tools, "newuidmap": None}}, "newuidmap", "apt-get install uidmap"),
        ({"unshare_version": (2, 37)}, "unshare --map-auto", "2.38"),
        ({"subuid": "ann:100000:1000\n"}, "/etc/subuid", "usermod --add-subuids"),
        ({"subgid": ""}, "/etc/subgid", "usermod --add-subgids"),
        ({"tun": "Permission denied"}, "/dev/net/tun", "chmod 0666 /dev/net/tun"),
        ({"tun": "No such file or directory"}, "/dev/net/tun", "modprobe tun"),
        ({"chrooted": True}, "user namespaces", "outside the chroot"),
        ({"sysctls": {"user.max_user_namespaces": "0"}}, "user namespaces", "max_user_namespaces=10000"),
        ({"sysctls": {"kernel.unprivileged_userns_clone": "0"}}, "user namespaces", "userns_clone=1"),
    ],
)  # fmt: skip
def test_each_lack_has_its_remedy(change: dict[str, object], name: str, remedy: str) -> None:
    found = bad(replace(WELL, **change))  # type: ignore[arg-type]
    assert [item.name for item in found] == [name]
    assert remedy in found[0].remedy


def test_apparmor_counts_only_when_the_trial_failed_too() -> None:
    """Ubuntu 24.04: the restriction is in force, but a profile may let unshare pass."""
    assert not bad(replace(WELL, sysctls=APPARMOR))
    found = bad(replace(WELL, sysctls=APPARMOR, trial=(1, "unshare: Operation not permitted\n")))
    assert [item.name for item in found] == ["AppArmor's restriction of user namespaces", "namespaces"]
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in found[0].remedy
    assert "Operation not permitted" in found[1].found
