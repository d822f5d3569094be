"""Under xdist a scenario runs once, whatever --dist says; real workers, in the simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIO = """\
scenario: Scenario {number}
machine: uefi-x64
sequence: hello.xml
expect:
  result: success
  code: 0
  steps: {{Say hello: success}}
  variables: {{Hello: world}}
"""
SEQUENCE = """<sequence version="3.10"><step type="SMS_TaskSequence_SetVariableAction" name="Say hello">
<action>tsenv.exe "Hello=world"</action></step></sequence>"""


_HOW = [(), ("--dist", "loadgroup")]


_PYTHON = """\
import pytest

@pytest.fixture(scope="module")
def machine(lab_module):
    return lab_module.machine("uefi-x64", sequence="hello.xml").power_on()

@pytest.mark.parametrize("number", range(4))
def test_it(machine, number):
    assert machine.run.result == "success"
"""


@pytest.mark.parametrize("how", _HOW)
def test_a_scenario_runs_once_and_not_once_per_worker(tmp_path: Path, how: tuple[str, ...]) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "hello.xml").write_text(SEQUENCE)
    (folder / "test_asked.py").write_text(_PYTHON)
    (tmp_path / "test_other.py").write_text("def test_other():\n    assert True\n")
    for number in range(3):
        (folder / f"s{number}.yaml").write_text(SCENARIO.format(number=number))
    both = SCENARIO.format(number=3).replace("machine: uefi-x64", "matrix: {machine: [uefi-x64, bios-x64]}")
    (folder / "s3.yaml").write_text(both)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "lab.pytest_plugin", "-n", "2", *how, "--fidelity=sim", "."],
        cwd=tmp_path,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "OSDLAB_PROJECT": str(ROOT),
            "OSDLAB_REPORTS": str(tmp_path / "reports"), "OSDLAB_CACHE": str(tmp_path / "cache"),
        },
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert "25 passed" in done.stdout, done.stdout + done.stderr
    runs = sorted(path.name[16:] for path in (tmp_path / "reports").iterdir() if not path.is_symlink())
    assert runs == ["s0-sim", "s1-sim", "s2-sim", "s3-bios-x64-sim", "s3-uefi-x64-sim", "test-asked-sim"]
