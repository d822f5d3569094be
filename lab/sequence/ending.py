"""The end of a run: logs to where they are kept, the data folder removed.

Engine room: pure. Places: documented (reference of the logs) and observed.
"""

from __future__ import annotations

from lab.sequence import codes
from lab.sequence.context import Behaviour, Run
from lab.sequence.effects import CleanUp, RunCommand


def ending(run: Run) -> Behaviour:
    """What TSMBootstrap does when the sequence is over; it never fails."""
    run.record("Execution complete.", 1, "tsmbootstrap.cpp:1900", "TSMBootstrap")
    data_path = str(run.facts.get("data_path") or "")
    if not run.in_winpe:
        effect = CleanUp(r"C:\Windows\CCM\Logs", data_path)
    elif data_path:
        text = "Finalizing logs to root of first available drive"
        run.record(text, 1, "tslogging.cpp:2000", "TSMBootstrap")
        effect = CleanUp(f"{data_path[:2]}\\SMSTSLog", data_path)
    else:
        effect = CleanUp("", "")
    outcome = yield effect
    if not outcome.ok:
        text = f"Failed to clean up ({codes.hexadecimal(outcome.code)})"
        run.record(text, 2, "tsmanager.cpp:1400")
    command = run.variables.value("SMSTSPostAction")
    if command:
        # Documented: spawned at the very end and not waited for, so how it ends is nobody's business.
        line, shown = run.expand(command), run.expand_shown(command)
        run.record(f"Executing command line: {shown}", 1, "tsmanager.cpp:1420")
        yield RunCommand(line, shown=shown if shown != line else "", optional=True)
    return 0
