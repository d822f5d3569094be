"""What shows a rule: marks on tests, found in their source without running it, and scenarios' ``rules``.

A test says ``@pytest.mark.rule("R06")``; ``shown="sim"`` or ``shown="vm"`` where it runs whole sequences in
the simulator or on a real machine. A scenario counts for both: the same file runs in both. Counted is what is
written down; whether it ran, and where, its runs say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import InputError, Problem
from lab.rules.catalogue import Catalogue, Gap
from lab.scenario.loader import LoadedScenario

_PLACES = ("", "sim", "vm")


@dataclass(frozen=True)
class Mark:
    """One test that shows a rule. ``test`` is a pytest node id without parameters; ``line`` of the mark."""

    rule: str
    test: str
    shown: str
    path: str
    line: int


@dataclass
class Shown:
    """Test ids that show one rule: ``tests`` all of them, ``sim`` and ``vm`` those that run it there."""

    tests: list[str] = field(default_factory=list)
    sim: list[str] = field(default_factory=list)
    vm: list[str] = field(default_factory=list)


def marks(folder: Path, root: Path) -> list[Mark]:
    """The rule marks of all ``test_*.py`` below ``folder``, ids relative to ``root``.

    Raises InputError for a mark that is not written as literals, or a file that Python cannot read.
    """
    found: list[Mark] = []
    problems: list[Problem] = []
    for file in sorted(folder.rglob("test_*.py")):
        name = file.relative_to(root).as_posix()
        try:
            tree = ast.parse(file.read_bytes())
        except SyntaxError as error:
            problems.append(Problem(name, error.lineno or 1, error.offset or 1, "Python cannot read this"))
            continue
        found += _marks(tree.body, name, name, problems)
    if problems:
        raise InputError(problems)
    return found


def _marks(body: Iterable[ast.stmt], owner: str, path: str, problems: list[Problem]) -> Iterator[Mark]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            here = f"{owner}::{node.name}"
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.rule":
                    mark = _mark(decorator, here, path)
                    if isinstance(mark, Problem):
                        problems.append(mark)
                    else:
                        yield mark
            if isinstance(node, ast.ClassDef):
                yield from _marks(node.body, here, path, problems)


def _mark(call: ast.Call, test: str, path: str) -> Mark | Problem:
    values = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    named = {word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)}
    shown = named.get("shown", "")
    if len(call.args) != 1 or len(values) != 1 or set(named) - {"shown"} or shown not in _PLACES:
        hint = 'write @pytest.mark.rule("R06"), or with shown="sim" or shown="vm"'
        return Problem(path, call.lineno, call.col_offset + 1, "this mark cannot be read", hint)
    return Mark(str(values[0]), test, str(shown), path, call.lineno)


def shown(
    catalogue: Catalogue, found: Iterable[Mark], scenarios: Iterable[LoadedScenario], root: Path
) -> dict[str, Shown]:
    """What shows each rule, by its number. Raises InputError where a number is none of the catalogue's."""
    rules = {number: Shown() for number in catalogue.rules}
    problems: list[Problem] = []
    for mark in found:
        if mark.rule not in rules:
            problems.append(Problem(mark.path, mark.line, 1, f"there is no rule '{mark.rule}'"))
            continue
        row = rules[mark.rule]
        for ids in (row.tests, *([getattr(row, mark.shown)] if mark.shown else [])):
            if mark.test not in ids:
                ids.append(mark.test)
    for loaded in scenarios:
        name = loaded.path.resolve().relative_to(root.resolve()).as_posix()
        for at, number in enumerate(loaded.scenario.rules):
            if number not in rules:
                problems.append(loaded.document.place("rules", at).problem(f"there is no rule '{number}'"))
                continue
            row = rules[number]
            for ids in (row.tests, row.sim, row.vm):
                if name not in ids:
                    ids.append(name)
    if problems:
        raise InputError(sorted(set(problems)))
    return rules


def gaps(catalogue: Catalogue, rules: dict[str, Shown]) -> list[Gap]:
    """The rules that are due and that nothing shows."""
    found = []
    for number, row in rules.items():
        sim_due, vm_due = catalogue.due(number)
        for where, due in (("tests", sim_due or vm_due), ("sim", sim_due), ("vm", vm_due)):
            if due and not getattr(row, where):
                found.append(Gap(number, where))
    return found
