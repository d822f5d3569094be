"""A scenario made of Python values, as a test writes it; the same keys and the same checks as in a file."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from pathlib import Path
from typing import Any

from lab.scenario.loader import LoadedScenario, assemble
from lab.yamlio import Listing, Mapping, Node, Place, Scalar


def inline_scenario(
    values: MappingOf[str, Any], path: Path, *, line: int = 0, templates: Path | None = None
) -> LoadedScenario:
    """The scenario of ``values``, the keys of a scenario file; without ``expect`` nothing is judged.

    ``path`` and ``line``: where it stands; sequence and content are looked for beside it. Raises InputError
    with everything that is wrong.
    """
    place = Place(str(path), line, 1 if line else 0)
    return assemble(_node(values, place), path, templates, judged="expect" in values)


def _node(value: Any, place: Place) -> Node:
    if isinstance(value, MappingOf):
        entries = ((Scalar(place, str(key), plain=False), _node(item, place)) for key, item in value.items())
        return Mapping(place, tuple(entries))
    if isinstance(value, list | tuple):
        return Listing(place, tuple(_node(item, place) for item in value))
    if value is None:
        return Scalar(place, "")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return Scalar(place, text, plain=False)
