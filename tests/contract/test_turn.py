"""Whose turn it is, asked of a real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.run.turn import STANDS_STILL, turn


def git(*arguments: str | Path) -> None:
    own = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *own, *arguments], check=True, capture_output=True, timeout=300)


def test_a_turn_is_a_commit_and_where_none_are_counted_it_says_so(tmp_path: Path) -> None:
    whole, shallow, none = tmp_path / "whole", tmp_path / "shallow", tmp_path / "none"
    none.mkdir()
    git("init", "-q", whole)
    for _ in range(2):
        git("-C", whole, "commit", "-q", "--allow-empty", "-m", "c")
    git("clone", "-q", "--depth", "1", whole.as_uri(), shallow)
    assert turn(whole) == (2, "")
    for folder, count, said in ((shallow, 1, "shallow clone"), (none, 0, "no git history")):
        found, note = turn(folder)
        assert found == count and note.startswith(STANDS_STILL) and said in note
