"""The rules of a task sequence and its site, as the project words them, and with which part they are due."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from lab.yamlio import BadValue, Model, load_model, quoted

CATALOGUE = Path(__file__).with_name("catalogue.yaml")


class Part(Model):
    """A part of the work; ``due``: its rules must be shown."""

    title: str
    due: bool


class Rule(Model):
    """A rule. ``sim`` and ``vm`` name the part with which it is due to be shown there; "" means never."""

    holds: str
    sim: str
    vm: str = ""


class Catalogue(Model):
    """All parts and rules, in the file's order."""

    parts: dict[str, Part]
    rules: dict[str, Rule] = Field(min_length=1)

    @model_validator(mode="after")
    def _parts_are_known(self) -> Catalogue:
        for number, rule in self.rules.items():
            for part in (rule.sim, rule.vm):
                if part and part not in self.parts:
                    raise BadValue(
                        f"rule {number} is due with {quoted(part)}", f"parts: {', '.join(self.parts)}"
                    )
        return self

    def due(self, number: str) -> tuple[bool, bool]:
        """Whether a rule is due in (the simulator, on a VM)."""
        rule = self.rules[number]
        return self.parts[rule.sim].due, bool(rule.vm) and self.parts[rule.vm].due


@dataclass(frozen=True)
class Gap:
    """A rule that is due and that nothing shows. ``where``: "tests", "sim" or "vm"."""

    rule: str
    where: str

    def __str__(self) -> str:
        shown = {"tests": "no test or scenario", "sim": "nothing in the simulator", "vm": "nothing on a VM"}
        return f"{self.rule}: {shown[self.where]} shows it"


def load_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read the project's rules. Raises InputError."""
    return load_model(path, Catalogue)
