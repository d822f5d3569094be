"""A scenario made of Python values, as a test writes it; the same keys and the same checks as in a file."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.errors import InputError, Problem
from lab.scenario.expectations import expectations
from lab.scenario.loader import LoadedScenario, find_content, find_sequence, find_template
from lab.scenario.schema import Scenario
from lab.yamlio import Listing, Mapping, Node, Place, Scalar, as_document

#: What a test that judges by itself leaves out; never judged.
_NOTHING = {"result": "success"}


def inline_scenario(
    values: MappingOf[str, Any], path: Path, *, line: int = 0, templates: Path | None = None
) -> LoadedScenario:
    """The scenario of ``values``, the keys of a scenario file; without ``expect`` nothing is judged.

    ``path`` and ``line``: where it stands; sequence and content are looked for beside it. Raises InputError
    with everything that is wrong.
    """
    place = Place(str(path), line, 1 if line else 0)
    judged = "expect" in values
    root = _node({**values, **({} if judged else {"expect": _NOTHING})}, place)
    assert isinstance(root, Mapping)
    problems: list[Problem] = []
    try:
        document = as_document(root, Scenario)
    except InputError as error:
        raise InputError(error.problems) from None
    named = {key.text: value for key, value in root.entries if isinstance(value, Scalar)}
    template = find_template(named["machine"], path, templates, problems)
    sequence = find_sequence(named["sequence"], path, problems)
    content = find_content(document, path, problems)
    if problems or template is None or sequence is None:
        raise InputError(problems)
    loaded = LoadedScenario(path, document, template, sequence, content)
    return replace(loaded, expectations=expectations(document)) if judged else loaded


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
