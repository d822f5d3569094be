"""The task sequence wizard: its two pages as values, what they look like, and what an answer means.

Pure. Observed: the wizard asks which sequence to run, and for variables that the site left empty. Its look
and the way it is answered (a line typed at the keyboard) are the lab's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: Documented: the most a variable's value may hold.
LONGEST_VALUE = 4000


@dataclass(frozen=True)
class Item:
    """A deployment that may be chosen. ``number``: what is typed, from 1."""

    number: int
    name: str
    deployment: str


@dataclass(frozen=True)
class Page:
    """A page that waits for a line. ``items`` of a choice; ``name`` of a variable, ``secret``: it is not
    shown while it is typed; ``later``: the variables that are asked for after it. ``refused``: why the line
    before was none."""

    kind: Literal["choose", "variable"]
    title: str
    items: tuple[Item, ...] = ()
    name: str = ""
    secret: bool = False
    later: tuple[str, ...] = ()
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """The page as the host is told: the event ``wizard``."""
        told: dict[str, Any] = {"page": self.kind, "title": self.title}
        if self.kind == "choose":
            told["items"] = [
                {"number": item.number, "name": item.name, "deployment": item.deployment}
                for item in self.items
            ]
        else:
            told |= {"name": self.name, "secret": self.secret, "later": list(self.later)}
        return {**told, "refused": self.refused}

    def done(self, value: str) -> dict[str, Any]:
        """What the host is told of the answer (event ``wizard-done``); never a variable's value."""
        answer = {"chosen": value} if self.kind == "choose" else {"name": self.name}
        return {"page": self.kind, **answer}

    def lines(self) -> list[str]:
        """The page as it stands on the screen, above the line that is typed."""
        asked = [f"  {item.number:>2}  {item.name} ({item.deployment})" for item in self.items]
        if self.kind == "variable":
            asked = [f"  Variable: {self.name}"]
        refused = [f"  {self.refused}", ""] if self.refused else []
        return [self.title, "", *asked, "", *refused]

    @property
    def prompt(self) -> str:
        """What stands in front of the line that is typed."""
        if self.kind == "choose":
            return "Number: "
        return "Value (it is not shown): " if self.secret else "Value: "


@dataclass(frozen=True)
class Refused:
    """A line that is no answer, and why."""

    reason: str


def choice(assignments: list[Mapping[str, Any]]) -> Page:
    """The page that asks which of several deployments to run."""
    return Page(
        "choose",
        "Select a task sequence to run",
        tuple(
            Item(number, str(one["name"]), str(one["deployment"]))
            for number, one in enumerate(assignments, 1)
        ),
    )


def variable(name: str, secret: bool, later: tuple[str, ...] = ()) -> Page:
    """The page that asks for a variable which the site left empty; ``later``: those asked for after it."""
    return Page("variable", "Edit task sequence variables", name=name, secret=secret, later=later)


def take(page: Page, text: str) -> str | Refused:
    """What a typed line says: the deployment chosen, or the variable's value ("" leaves it unset: guess)."""
    if page.kind == "variable":
        if len(text) > LONGEST_VALUE:
            return Refused(f"A value has at most {LONGEST_VALUE} characters")
        return text
    typed = text.strip()
    for item in page.items:
        if typed == str(item.number) or typed.casefold() == item.deployment.casefold():
            return item.deployment
    return Refused(f"'{typed[:20]}' is none of 1 to {len(page.items)}")
