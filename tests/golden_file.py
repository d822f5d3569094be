"""Golden files: a rendered text is held against the one that a person has looked at."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check_golden(name: str, text: str, folder: Path = FOLDER) -> None:
    """Compare with ``tests/golden/<name>``. A missing file is written, and the test fails all the same."""
    path = folder / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        raise AssertionError(f"golden file {name} was missing and is written now: look at it, then run again")
    assert text == path.read_text(encoding="utf-8"), (
        f"differs from tests/golden/{name}; delete it to renew it"
    )
