"""A scenario made of what stands on the command line: a user's export, a machine, and that it succeeds."""

from __future__ import annotations

import shlex
from collections.abc import Mapping as MappingOf
from dataclasses import replace
from pathlib import Path

from lab.errors import InputError, UsageError
from lab.scenario.loader import LoadedScenario, assemble
from lab.scenario.machines import identity
from lab.yamlio import Mapping, Node, Place, Scalar, load_nodes, quoted

#: Where a problem or an expectation of such a scenario stands.
COMMAND_LINE = "the command line"
_PLACE = Place(COMMAND_LINE)


def command_line_scenario(
    sequence: Path,
    machine: str,
    *,
    content: MappingOf[str, str] | None = None,
    variables: MappingOf[str, str] | None = None,
    doubles: Path | None = None,
    name: str = "",
    templates: Path | None = None,
) -> LoadedScenario:
    """Run ``sequence`` on a machine of the template ``machine``; expected is its success.

    ``name``: which sequence, where the export holds several. ``content`` and ``variables`` as a scenario file
    has them; paths are relative to the working directory. ``doubles``: a YAML file with that key alone.
    Raises InputError with everything that is wrong in that file, UsageError with everything that is wrong in
    the arguments; the sequence is not read here.
    """
    entries: dict[str, Node] = {
        "scenario": _text(f"{sequence.name} runs to its end"),
        "machine": _text(machine),
        "sequence": _text(str(sequence)),
        **({"sequence_name": _text(name)} if name else {}),
        "variables": _texts(variables or {}),
        "content": _texts(content or {}),
        "expect": _texts({"result": "success"}),
        **({"doubles": _doubles(doubles)} if doubles else {}),
    }
    arguments = ["--sequence", str(sequence), *(["--name", name] if name else []), "--machine", machine]
    arguments += ["--doubles", str(doubles)] if doubles else []
    for option, pairs in (("--content", content), ("--variable", variables)):
        for key, value in (pairs or {}).items():
            arguments += [option, f"{key}={value}"]
    here = Path(COMMAND_LINE)  # its folder is the working directory
    try:
        loaded = assemble(
            _mapping(entries), here, templates, arguments=shlex.join(arguments), sequence_path=sequence
        )
    except InputError as error:
        problems = error.problems
    else:
        (machine_,) = loaded.machines
        mac, identifier = identity(sequence.name)
        known = replace(machine_, mac=mac, uuid=identifier)
        return replace(loaded, path=sequence, machines=(known,))
    if in_file := [problem for problem in problems if doubles and problem.path == str(doubles)]:
        raise InputError(in_file)
    raise UsageError("; ".join(problem.message for problem in problems),
                     hint="; ".join(problem.hint for problem in problems if problem.hint))  # fmt: skip


def _doubles(path: Path) -> Node:
    """What stands below ``doubles`` in a file that has no other key. Raises InputError."""
    root = load_nodes(path)
    entries = root.entries if isinstance(root, Mapping) else ()
    hint = "a file of doubles has the key 'doubles' alone"
    others = [
        key.place.problem(f"unknown key {quoted(key.text)}", hint)
        for key, _ in entries
        if key.text != "doubles"
    ]
    if others:
        raise InputError(others)
    if not entries:
        raise InputError(
            [root.place.problem("has no doubles", "write them below 'doubles:', as in a scenario")]
        )
    return entries[0][1]


def _text(text: str) -> Scalar:
    return Scalar(_PLACE, text, plain=False)


def _texts(values: MappingOf[str, str]) -> Mapping:
    return _mapping({name: _text(value) for name, value in values.items()})


def _mapping(entries: MappingOf[str, Node]) -> Mapping:
    return Mapping(_PLACE, tuple((_text(name), value) for name, value in entries.items()))
