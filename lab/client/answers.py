"""What is typed into the wizard's pages, by the scenario's answers, where the simulator runs or rehearses it.

At a real machine's keyboard sits ``lab.run.attendant``, which trusts no page.

Pure. A page is the data of the event ``wizard``; answers are {"f12": bool, "choose": a deployment's id, its
sequence's name or its number, or None, "variables": {name: value}}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lab.errors import LabFault

#: How many variables are looked at: a machine may name any number.
_MOST_NAMED = 100


class UnansweredPage(LabFault):
    """The wizard asks for something that the scenario does not answer; the hint has the lines to paste."""


def typed(page: Mapping[str, Any], answers: Mapping[str, Any], *, machine: str) -> str:
    """The line to type while ``page`` is on the screen of ``machine``.

    That a page to come will have no answer, either, is said at the first of them, with all that are missing.
    Raises UnansweredPage with the lines to paste where the scenario has no answer, or a wrong one, and
    LabFault for a value that the wizard refused and for what is no page: a machine may send anything.
    """
    if page.get("refused"):  # the same answer would be refused for ever
        raise LabFault(
            f"the wizard of machine '{machine}' refuses the scenario's answer: {page['refused']}",
            hint="see 'wizard' of the scenario, and the last screen",
        )
    try:
        if page["page"] == "choose":
            return _choice(page, answers, machine)
        name, later = str(page["name"]), [str(one) for one in page.get("later") or ()][:_MOST_NAMED]
    except (KeyError, TypeError, IndexError) as error:
        raise LabFault(
            f"machine '{machine}' showed a page that is none of the wizard's: {error!r}"
        ) from error
    known = {key.casefold(): str(value) for key, value in (answers.get("variables") or {}).items()}
    if missing := [one for one in (name, *later) if one.casefold() not in known]:
        asked = f"variable{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise _unanswered(
            f"the wizard of machine '{machine}' asks for {asked}, and the scenario gives no value",
            "  variables:\n" + "\n".join(f"    {one}: the value" for one in missing),
            answers,
        )
    return known[name.casefold()]


def _choice(page: Mapping[str, Any], answers: Mapping[str, Any], machine: str) -> str:
    items = page["items"]
    offered = ", ".join(f"{item['name']} ({item['deployment']})" for item in items)
    choose = answers.get("choose")
    lines = f"  choose: {json.dumps(items[0]['name'], ensure_ascii=False)}"
    if choose is None:
        raise _unanswered(
            f"the wizard of machine '{machine}' asks which sequence to run, and the scenario does not say: "
            f"{offered}",
            lines,
            answers,
        )
    wanted = str(choose).strip().casefold()
    for item in items:
        if wanted in (str(item["deployment"]).casefold(), str(item["number"])):
            return str(item["number"])
    named = [item for item in items if str(item["name"]).casefold() == wanted]
    if not named:
        raise _unanswered(
            f"the wizard of machine '{machine}' does not offer '{choose}', which the scenario chooses: "
            f"{offered}",
            lines,
            answers,
        )
    return str(named[0]["number"])


def _unanswered(message: str, lines: str, answers: Mapping[str, Any]) -> UnansweredPage:
    said = answers.get("choose") is not None or answers.get("variables")  # a second 'wizard' would be refused
    head = (
        "put this into the 'wizard' that the scenario (or its machine) has"
        if said
        else "give the scenario (or its machine) this"
    )
    return UnansweredPage(message, hint=f"{head}:\nwizard:\n{lines}")
