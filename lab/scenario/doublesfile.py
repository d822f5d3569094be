"""A file of doubles alone, for a sequence that is simulated without a scenario."""

from __future__ import annotations

from pathlib import Path

from lab.guest.doubles import Double as Answer
from lab.scenario.schema import Double
from lab.yamlio import Model, load_model


class DoublesFile(Model):
    """``doubles:`` as in a scenario file."""

    doubles: tuple[Double, ...]


def read_doubles(path: Path) -> tuple[Answer, ...]:
    """The doubles of a YAML file. Raises InputError with every problem."""
    return tuple(Answer.from_json(double.to_json()) for double in load_model(path, DoublesFile).doubles)
