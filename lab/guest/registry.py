"""SetRegistry: values in the hives of a Windows that is not running, by hivexsh."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lab.guest import hive, paths
from lab.guest.runner import Runner, must
from lab.sequence.effects import Outcome, SetRegistry

#: ERROR_FILE_NOT_FOUND, ERROR_INVALID_PARAMETER.
NO_HIVE = 0x80070002
INVALID = 0x80070057

#: Where the hives are, below a volume.
CONFIG = "Windows\\System32\\config"


def set_registry(effect: SetRegistry, runner: Runner, drives: Mapping[str, str]) -> Outcome:
    """Carry the effect out. Keys are made as needed, other values of the key stay. Raises ToolFailed."""
    try:
        name, names = hive.locate(effect.key)
        if odd := next((value for value in effect.values if value and not value.isprintable()), ""):
            raise ValueError(f"{odd!r} is no name of a value")
        new = {value: hive.encode(kind, data) for value, (kind, data) in effect.values.items()}
    except ValueError as error:
        return Outcome(INVALID, message=str(error))
    path = paths.to_linux(paths.join(effect.volume, CONFIG, name), drives)
    if not os.path.isfile(path):
        return Outcome(NO_HIVE, message=f"there is no hive {paths.join(effect.volume, CONFIG, name)}")
    existing, old = read_key(path, names, runner)
    script = hive.write_script(names, existing, hive.merged(old, new))
    must(runner, "hivexsh", "-w", path, input=script)
    return Outcome()


def read_key(path: str, names: tuple[str, ...], runner: Runner) -> tuple[int, dict[str, tuple[int, bytes]]]:
    """How many names of the key's path exist, and the values of the key (none when it does not exist)."""
    for count in range(len(names), -1, -1):
        ran = runner.run(["hivexsh", path], timeout=60, input=hive.read_script(names[:count]))
        if ran.ok:
            return count, hive.parse_values(ran.output) if count == len(names) else {}
        if "not found" not in ran.output:
            break
    must(runner, "hivexsh", path, input=hive.read_script(()))
    raise ValueError(f"hivexsh cannot read {path}: {ran.last_line}")


def changed(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Plain values as SetRegistry takes them: int is REG_DWORD, str is REG_SZ."""
    return {
        name: ["REG_DWORD" if isinstance(value, int) else "REG_SZ", value] for name, value in values.items()
    }
