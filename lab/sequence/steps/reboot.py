"""Restart Computer: smsboot.exe only asks for the restart; the engine performs it (observed log)."""

from __future__ import annotations

import re

from lab.sequence import codes
from lab.sequence.context import Behaviour, StepContext

_TARGET = re.compile(r"/target:\"?(\w+)", re.IGNORECASE)
_BANNER = "========================= [ smsboot.exe ] ========================="


def restart_computer(context: StepContext) -> Behaviour:
    """Set SMSTSRebootRequested, SMSTSRebootDelay and SMSTSRebootMessage, and succeed."""
    context.record(_BANNER, file="rebootcomputer.cpp:184")
    found = _TARGET.search(context.expand(context.step.action))
    target = (found.group(1) if found else context.argument("SMSRebootTarget")).casefold()
    names = {"winpe": "WinPE", "hd": "HD"}
    if target not in names:
        return context.fail(f"Unknown restart target '{target}'", codes.INVALID_PARAMETER)
    values = {
        "SMSTSRebootDelay": context.value("SMSRebootTimeout"),
        "SMSTSRebootMessage": context.value("SMSRebootMessage"),
        "SMSTSRebootRequested": names[target],
    }
    for name, value in values.items():
        context.record(f"{name}={value}", file="rebootcomputer.cpp:122")
        context.set(name, value)
    return 0
    yield  # a generator without effects
