"""``osdlab site``: what it shows of a site file and of a run's database, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lab.cli import osdlab
from lab.errors import UsageError
from lab.site.config import without_secrets
from lab.site.kept import read_kept
from lab.site.store import SqliteStore
from tests.contract.site_process import MAC, ONCE, SECRET, SITE

CONTOSO = Path(__file__).parents[2] / "scenarios" / "sites" / "contoso.yaml"
DECISION = {
    "action": "boot", "reasons": ["LAB20002 is chosen"], "deployment": "LAB20002", "boot_image": "LAB00002",
    "mandatory": True, "device": "PC-2", "known": True, "unknown": "",
}  # fmt: skip


def said(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "100"}).invoke(osdlab, ["site", *arguments], catch_exceptions=False)
    return result.output


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder as the service leaves it."""
    store = SqliteStore(tmp_path / "site.sqlite", without_secrets(SITE.to_json()))
    store.decided(ONCE, "boot-1", DECISION)
    store.offer("PC-2", "LAB20002", "boot-1")
    told = [
        {"n": 1, "id": 11144, "severity": "info", "text": "started"},
        {"n": 2, "id": 11141, "severity": "error", "action": "Apply", "text": "red \x1b[31m[bold]failed"},
    ]
    store.add_status(ONCE, "boot-1", told)
    store.add_status(ONCE, "boot-1", told)  # again: kept once
    store.close()
    return tmp_path


def test_a_site_file_says_who_gets_what() -> None:
    text = said("show", str(CONTOSO))
    assert "LAB20002 at once, boot image LAB00002" in text
    assert "LAB20001 after F12" in text and "Horse" not in text
    assert "abort" in said("show", str(CONTOSO), "--architecture", "arm64")


def test_what_a_site_has_kept(run: Path) -> None:
    text = said("status", str(run))
    for part in ("LAB20002 required", "not again", "failed", "11144", "Apply", "PC-2"):
        assert part in text
    assert SECRET not in text and "\x1b" not in text and "[bold]failed" in text


def test_it_is_read_back_as_it_was_written(run: Path) -> None:
    kept = read_kept(run / "site.sqlite")
    assert kept.objects.device("PC-1") is not None and kept.objects.by_mac[MAC][0].name == "PC-1"
    assert [message["n"] for _, message, _ in kept.statuses] == [1, 2]
    assert kept.history[ONCE][0]["result"] == "failed"
    again = SqliteStore(run / "site.sqlite")
    assert again.offered("PC-2") == ("LAB20002",)
    assert again.offer_of_start(ONCE, "boot-1") == DECISION
    again.clear("PC-2")
    again.close()
    assert read_kept(run / "site.sqlite").offers[0].cleared


@pytest.mark.parametrize("text", [None, b"", b"no database" * 1000])
def test_what_is_no_database_is_said(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / "site.sqlite").write_bytes(text)
    with pytest.raises(UsageError, match=r"there is no|is no site's database"):
        said("status", str(tmp_path))
