"""The cache of built things: complete or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.clock import VirtualClock
from lab.errors import PhaseTimeout
from lab.pe.store import IDLE_SECONDS, KEPT, Store


def test_an_entry_is_built_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "file").write_text("x")

    store = Store(tmp_path / "cache")
    first = store.entry("root", "1" * 64, build)
    assert store.entry("root", "1" * 64, build) == first
    assert (first / "file").read_text() == "x"
    assert len(built) == 1


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def build(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.entry("root", "1" * 64, build)
    assert list((tmp_path / "root").iterdir()) == []


def test_what_a_killed_build_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "root" / ".new-left"
    (left / "sub").mkdir(parents=True)
    (left / "sub").chmod(0o500)
    Store(tmp_path).entry("root", "1" * 64, lambda folder: None)
    assert not left.exists()


def test_entries_nobody_asked_for_long_are_forgotten_but_the_newest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(KEPT + 2):
        place = store.entry("boot", str(number) * 64, lambda folder: None)
        age = (10 - number) * 2 * IDLE_SECONDS
        os.utime(place, (place.stat().st_mtime - age,) * 2)
    store.entry("boot", "f" * 64, lambda folder: None)
    assert sorted(path.name[0] for path in (tmp_path / "boot").iterdir()) == ["3", "4", "f"]


def test_a_build_of_another_lab_is_waited_for_aloud_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.pe.store.PATIENCE", 30.0)
    said: list[str] = []
    ours = Store(tmp_path, said.append, clock=VirtualClock())
    with (
        Store(tmp_path).locked("root"),
        pytest.raises(PhaseTimeout, match=r"waited 30 s for another osdlab to end its build of 'root'"),
        ours.locked("root"),
    ):
        pass
    assert said == [f"another osdlab builds 'root' in {tmp_path}; waiting for it to end"]
    with ours.locked("root"):
        assert len(said) == 1
