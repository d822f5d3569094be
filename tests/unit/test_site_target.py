"""What a request path may say: names out of lists, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.site.target import Refusal, Target, read_target


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"/policy/52:54:00:AA:bb:01", Target("assignments", "52:54:00:aa:bb:01")),
        (
            b"/policy/52%3A54%3A00%3Aaa%3Abb%3A01",
            Target("assignments", "52:54:00:aa:bb:01"),
        ),  # iPXE encodes so
        (b"/policy/52-54-00-aa-bb-01", Target("assignments", "52:54:00:aa:bb:01")),
        (b"/content/LAB00001/reference.wim", Target("content", "reference.wim", "LAB00001")),
        (b"/content/LAB00001/sub/a%20b.txt", Target("content", "sub/a b.txt", "LAB00001")),
        (b"/content/LAB00001/100%25.txt", Target("content", "100%.txt", "LAB00001")),
        (b"/boot/labpe-x64.efi", Target("boot", "labpe-x64.efi")),
    ],
)
def test_what_is_asked_for(raw: bytes, target: Target) -> None:
    assert read_target(raw) == target


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"/content/LAB00001/../../../etc/passwd", 400),
        (b"/content/LAB00001/%2e%2e/%2E%2E/etc/passwd", 400),
        (b"/content/LAB00001/..%2f..%2fetc/passwd", 400),
        (b"/content/LAB00001/%2fetc%2fpasswd", 400),
        (b"/content/LAB00001/..\\..\\etc", 400),
        (b"/content/LAB00001/a%5cb", 400),
        (b"/content/LAB00001/a%00.txt", 400),
        (b"/content/LAB00001/a%0a.txt", 400),
        (b"/content/LAB00001/a%7f.txt", 400),
        (b"/content/LAB00001/%ff", 400),
        (b"/content/./a", 400),
        (b"http://elsewhere/boot/x", 400),
        (b"/content/LAB00001//etc/passwd", 404),
        (b"/content/LAB00001/", 404),
        (b"/content/LAB00001", 404),
        (b"/policy/52:54:00:aa:bb", 404),
        (b"/boot/a/b", 404),
        (b"/", 404),
        (b"/etc/passwd", 404),
    ],
)
def test_what_is_refused(raw: bytes, status: int) -> None:
    refused = read_target(raw)
    assert isinstance(refused, Refusal)
    assert refused.status == status


@given(st.binary(max_size=60))
def test_no_path_yields_a_name_that_could_leave_a_folder(tail: bytes) -> None:
    found = read_target(b"/content/LAB00001/" + tail)
    if isinstance(found, Target):
        assert not {"..", ".", ""} & set(found.name.split("/"))
        assert not {"\\", "\0"} & set(found.name)
