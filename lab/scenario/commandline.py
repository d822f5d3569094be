"""A scenario made of what stands on the command line: a user's export, a machine, and that it succeeds."""

from __future__ import annotations

import shlex
from collections.abc import Mapping as MappingOf
from pathlib import Path

from lab.errors import InputError, Problem, UsageError
from lab.scenario.expectations import expectations
from lab.scenario.loader import LoadedScenario, find_content, find_template
from lab.scenario.schema import Scenario
from lab.yamlio import Mapping, Node, Place, Scalar, as_document, load_nodes, quoted

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
    here = Path(COMMAND_LINE)  # its folder is the working directory
    problems: list[Problem] = []
    try:
        document = as_document(_mapping(entries), Scenario)
        template = find_template(_text(machine), here, templates, problems)
        found = find_content(document, here, problems)
    except InputError as error:
        problems += error.problems
    if in_file := [problem for problem in problems if doubles and problem.path == str(doubles)]:
        raise InputError(in_file)
    if problems or template is None:
        raise UsageError("; ".join(problem.message for problem in problems),
                         hint="; ".join(problem.hint for problem in problems if problem.hint))  # fmt: skip
    arguments = ["--sequence", str(sequence), *(["--name", name] if name else []), "--machine", machine]
    arguments += ["--doubles", str(doubles)] if doubles else []
    for option, pairs in (("--content", content), ("--variable", variables)):
        for key, value in (pairs or {}).items():
            arguments += [option, f"{key}={value}"]
    return LoadedScenario(
        sequence, document, template, sequence, found, expectations(document), shlex.join(arguments)
    )


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
