"""The real Allure builds the report: one file, nothing in it that a browser would load from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.report.html import addresses_in
from lab.report.offline import foreign_addresses

ROOT = Path(__file__).parents[2]
OSDLAB = Path(sys.executable).parent / "osdlab"
pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")),
    reason="THE REPORT IS NOT TESTED: no Node here; apt-get install nodejs npm (Node 20 or newer)",
)


def osdlab(reports: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [OSDLAB, *map(str, arguments)], cwd=ROOT, env={**os.environ, "OSDLAB_REPORTS": str(reports)},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated runs, one of them red."""
    folder = tmp_path_factory.mktemp("reports")
    sample = (ROOT / "scenarios" / "error-handling.yaml").read_text()
    red = folder.parent / "scenarios" / "red.yaml"
    red.parent.mkdir(exist_ok=True)
    shutil.copytree(ROOT / "scenarios" / "sequences", red.parent / "sequences", dirs_exist_ok=True)
    red.write_text(sample.replace("Step 2: {result: failed, code: 2}", "Step 2: {result: failed, code: 3}"))
    done = osdlab(folder, "run", "scenarios/error-handling.yaml", red, "--fidelity", "sim")
    assert done.returncode == 1, done.stdout + done.stderr
    return folder


def test_runs_become_one_page_that_loads_nothing(reports: Path) -> None:
    done = osdlab(reports, "report")
    assert done.returncode == 0, done.stderr
    page = reports / "html" / "index.html"
    assert done.stdout.strip() == str(page)
    assert [path.name for path in page.parent.iterdir()] == ["index.html"]
    text = page.read_text(encoding="utf-8")
    assert addresses_in(page.parent) == [] and "Content-Security-Policy" in text
    # The guard sees: the same page with a tag manager in it is refused.
    planted = text.replace("</body>", '<script src="https://tags.example.com/t.js"></script></body>')
    assert foreign_addresses(planted) == ["https://tags.example.com/t.js"]
    for name in ("data/test-results/", "data/attachments/", "widgets/"):
        assert re.search(rf'd\("{name}', text), f"no {name} in the page"


def test_what_pytest_wrote_becomes_a_page(reports: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--fidelity=sim", "-q",
         f"--alluredir={tmp_path / 'results'}", "scenarios/error-handling.yaml"],
        cwd=ROOT, env={**os.environ, "OSDLAB_REPORTS": str(tmp_path / "runs")},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    done = osdlab(reports, "report", tmp_path / "results", "--output", tmp_path / "html")
    assert done.returncode == 0, done.stderr
    assert addresses_in(tmp_path / "html") == []


def test_without_node_nothing_is_skipped_in_silence(reports: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [OSDLAB, "report"], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "OSDLAB_REPORTS": str(reports), "PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 4
    assert "needs node and npm" in done.stderr and "apt-get install nodejs npm" in done.stderr
