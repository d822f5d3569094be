"""The task sequence as a value: groups, steps, conditions, references, each with its position.

Engine room: standard library only. All values are frozen and travel as JSON (see ``codec``).
Names are ConfigMgr's own (source: the exported XML, ../reference xml-format).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lab.errors import Problem


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in its file; ``line`` and ``column`` count from 1, 0 means unknown."""

    path: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


@dataclass(frozen=True, slots=True)
class StepVariable:
    """One ``<variable>`` of a step's defaultVarList.

    ``hidden``: the property is also a command-line argument and is not put into the variables.
    """

    name: str
    property: str
    value: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """A node of a condition tree.

    ``kind`` is "and", "or", "not" (no operand may be true) or an expression type of the XML
    (``SMS_TaskSequence_VariableConditionExpression``). ``values`` holds an expression's variables by name.
    """

    kind: str
    values: tuple[tuple[str, str], ...] = ()
    operands: tuple[Condition, ...] = ()
    position: Position = Position()

    def value(self, name: str, default: str = "") -> str:
        return dict(self.values).get(name, default)


@dataclass(frozen=True, slots=True)
class Reference:
    """Something the sequence refers to: a package (and program) or an application."""

    package: str = ""
    program: str = ""
    application: str = ""
    position: Position = field(default=Position(), compare=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something of the export that the model does not hold; writing it again carries it along.

    ``kind``: "attribute", "element", "text" or "comment". ``value`` is blank where it may be a secret.
    ``position``: where it stands; ``owner``: where the sequence, group or step begins that it is part of.
    """

    kind: str
    name: str
    value: str
    position: Position
    owner: Position


@dataclass(frozen=True, slots=True)
class Step:
    """A step. ``type`` is the XML type, as ``SMS_TaskSequence_RebootAction``; ``timeout`` in seconds.

    ``doubled``: the scenario answers the whole step (``lab.sequence.doubled``); no export says so.
    """

    type: str
    name: str
    description: str = ""
    disabled: bool = False
    continue_on_error: bool = False
    run_in: str = "WinPEandFullOS"
    success_codes: tuple[int, ...] = (0,)
    retry_count: int = 0
    run_from_net: bool = False
    timeout: int | None = None
    action: str = ""
    variables: tuple[StepVariable, ...] = ()
    condition: Condition | None = None
    position: Position = Position()
    doubled: bool = False

    def variable(self, name: str, default: str = "") -> str:
        """The value the editor stored under this name or property (case does not count)."""
        wanted = name.casefold()
        for variable in self.variables:
            if variable.name.casefold() == wanted or variable.property.casefold() == wanted:
                return variable.value
        return default


@dataclass(frozen=True, slots=True)
class Group:
    """A group of steps and groups."""

    name: str
    description: str = ""
    disabled: bool = False
    continue_on_error: bool = False
    children: tuple[Group | Step, ...] = ()
    condition: Condition | None = None
    position: Position = Position()


@dataclass(frozen=True)
class TaskSequence:
    """A whole sequence. ``name`` and ``package_id`` come from the export's wrapper, or from the file's name.

    ``variables`` is the export's globalVarList: defaults that hold in the whole sequence. ``unknown``: what
    of the export is not in the model; ``flaws``: what of that would change the run (see ``validate``). Both
    are the host's business: they do not travel as JSON.
    """

    name: str
    version: str = "3.10"
    package_id: str = ""
    children: tuple[Group | Step, ...] = ()
    references: tuple[Reference, ...] = ()
    position: Position = Position()
    variables: tuple[StepVariable, ...] = ()
    unknown: tuple[Unknown, ...] = field(default=(), compare=False)
    flaws: tuple[Problem, ...] = field(default=(), compare=False)

    def walk(self) -> Iterator[tuple[int, int, Group | Step]]:
        """Instructions depth first as (pointer, depth, item).

        Groups and disabled items count, and the end of a group is an instruction of its own, which is not
        yielded but has a pointer (observed log).
        """
        pointer = 0

        def below(items: tuple[Group | Step, ...], depth: int) -> Iterator[tuple[int, int, Group | Step]]:
            nonlocal pointer
            for item in items:
                yield pointer, depth, item
                pointer += 1
                if isinstance(item, Group):
                    yield from below(item.children, depth + 1)
                    pointer += 1  # the group's end

        yield from below(self.children, 0)

    def steps(self) -> Iterator[Step]:
        for _, _, item in self.walk():
            if isinstance(item, Step):
                yield item
