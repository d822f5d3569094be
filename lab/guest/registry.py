"""Values in the hives of a Windows, read and set by hivexsh."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lab.guest import hive, paths
from lab.guest.runner import Ran, Runner, ToolFailed, must
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


def values_of(
    volume: str, key: str, runner: Runner, drives: Mapping[str, str]
) -> dict[str, list[Any]] | None:
    """A key's values, name -> [type, data]; None when there is no such key or hive. Raises ToolFailed."""
    found = _find(volume, key, runner, drives)
    if found is None:
        return None
    path, names = found
    existing, values = read_key(path, names, runner)
    if existing < len(names):
        return None
    return {name: hive.decode(kind, data) for name, (kind, data) in values.items()}


def keys_of(volume: str, key: str, runner: Runner, drives: Mapping[str, str]) -> list[str]:
    """The names of the keys below one that is there, sorted. Raises ToolFailed."""
    found = _find(volume, key, runner, drives)
    if found is None:
        return []
    listing = must(runner, "hivexsh", found[0], input=hive.go_to(found[1]) + "ls\n")
    return sorted((name for name in listing.splitlines() if name), key=str.casefold)


def _find(
    volume: str, key: str, runner: Runner, drives: Mapping[str, str]
) -> tuple[str, tuple[str, ...]] | None:
    try:
        name, names = hive.locate(key)
    except ValueError:
        return None
    path = paths.to_linux(paths.join(volume, CONFIG, name), drives)
    return (path, names) if os.path.isfile(path) else None


def read_key(path: str, names: tuple[str, ...], runner: Runner) -> tuple[int, dict[str, tuple[int, bytes]]]:
    """How many names of the key's path exist, and the values of the key (none when it does not exist).

    Raises ToolFailed, also for a hive that hivexsh reads and nobody understands.
    """
    command = ["hivexsh", path]
    ran = Ran(0)
    for count in range(len(names), -1, -1):
        ran = runner.run(command, timeout=60, input=hive.read_script(names[:count]))
        if ran.ok and count < len(names):
            return count, {}
        if ran.ok:
            try:
                return count, hive.parse_values(ran.output)
            except ValueError as error:
                raise ToolFailed(command, Ran(ran.code, str(error))) from error
        if "not found" not in ran.output:
            break
    raise ToolFailed(command, ran)


def changed(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Plain values as SetRegistry takes them: int is REG_DWORD, str is REG_SZ."""
    return {
        name: ["REG_DWORD" if isinstance(value, int) else "REG_SZ", value] for name, value in values.items()
    }
