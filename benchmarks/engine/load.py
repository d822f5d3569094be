"""Loading a sequence: XML to tree and model. Warm, CPU time of this process, median of several."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from lab.sequence.xmlformat import read_export

ROOT = Path(__file__).parents[2]
FIELD = Path(os.environ.get("OSDLAB_FIELD", ROOT.parent / "shared" / "field")) / "sequences"
ROUNDS = 15
LIMIT = 100.0


def synthetic(steps: int = 300) -> bytes:
    """A sequence of so many steps, in groups of ten with a condition each."""
    condition = (
        '<condition><operator type="and"><expression type="SMS_TaskSequence_VariableConditionExpression">'
        '<variable name="Operator">equals</variable><variable name="Value">true</variable>'
        '<variable name="Variable">Go</variable></expression></operator></condition>'
    )
    names = ("CommandLine", "PackageID", "UserName", "WorkingDirectory", "SuccessCodes", "RunAsUser")
    variables = "".join(f'<variable name="{name}" property="{name}">cmd /c x</variable>\n' for name in names)
    step = (
        '<step type="SMS_TaskSequence_RunCommandLineAction" name="Run" description="" runIn="WinPEandFullOS" '
        'successCodeList="0 3010" retryCount="0" runFromNet="false"><action>smsswd.exe /run: x</action>'
        f"<defaultVarList>{variables}</defaultVarList></step>\n"
    )
    group = f'<group name="Ten" description="">{condition}{step * 10}</group>'
    return f'<sequence version="3.10">{group * (steps // 10)}</sequence>'.encode()


def milliseconds(data: bytes) -> float:
    """CPU time of one load."""
    taken = []
    for _ in range(ROUNDS + 2):
        began = time.process_time()
        read_export(data, "x.xml")
        taken.append((time.process_time() - began) * 1000)
    return statistics.median(taken[2:])


def measure() -> list[tuple[str, str]]:
    """The synthetic sequence and the slowest of the real ones; the limit is 100 ms each."""
    rows = [("synthetic, 300 steps", milliseconds(synthetic()))]
    if FIELD.is_dir():
        largest = max(FIELD.glob("*.xml"), key=lambda path: path.stat().st_size)
        rows.append((f"largest real export: {largest.name}", milliseconds(largest.read_bytes())))
    else:
        print(f"no real exports: there is no {FIELD}")
    return [(what, f"{taken:6.1f} ms of {LIMIT:.0f}") for what, taken in rows]
