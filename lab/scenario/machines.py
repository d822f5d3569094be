"""The machines of a scenario, each with all that is its own: hardware, identity, answers, expectations."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import Problem
from lab.scenario.expect import Expect
from lab.scenario.expectations import Expectation, expectations, questions
from lab.scenario.finding import find_template
from lab.scenario.keys import DeviceVariable, ScenarioMachine, Wizard
from lab.scenario.schema import Scenario, Template
from lab.site.model import SiteObjects
from lab.yamlio import Document, Node, Scalar
from lab.yamlio import Mapping as MappingNode

#: What the only machine of a scenario is called.
MACHINE_NAME = "PC-1"


@dataclass(frozen=True)
class LoadedMachine:
    """``mac`` with colons, lower case, of its first card; ``uuid`` of its SMBIOS.

    ``answers``: {"f12": whether it is pressed, "choose": sequence or None, "variables": {name: value}}, what
    is typed at its keyboard. ``secrets``: the names of those variables that nobody may see.
    """

    name: str
    template: Template
    template_name: str
    mac: str
    uuid: str
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    expectations: tuple[Expectation, ...] = ()

    def questions(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(Windows paths, registry keys) that the judge needs from its disk."""
        return questions(self.expectations)


def identity(scenario: str, index: int = 0) -> tuple[str, str]:
    """A machine's (MAC, UUID), the same at every run of the scenario."""
    digest = hashlib.sha256(f"{scenario}/{index}".encode()).digest()
    mac = ":".join(f"{byte:02x}" for byte in (0x52, 0x54, 0x00, *digest[:3]))
    return mac, str(uuid.UUID(bytes=digest[:16], version=4))


def load_machines(
    document: Document[Scenario],
    path: Path,
    templates: Path | None,
    known_by: str,
    problems: list[Problem],
    *,
    site: SiteObjects | None = None,
    judged: bool = True,
) -> tuple[LoadedMachine, ...]:
    """The machines of a scenario; those without a template are left out, and a problem says why.

    ``known_by``: the run's identity. A machine of ``machines`` that is named as a device of the site is that
    device unless it says otherwise.
    """
    scenario, root = document.value, document.root
    several = scenario.machines
    made: list[LoadedMachine] = []
    taken: dict[str, str] = {}
    for index, (name, own) in enumerate(several.items() or [(MACHINE_NAME, ScenarioMachine())]):
        keys = ("machines", name) if several else ()
        template = _template(root, keys, own, path, templates, problems)
        if template is None:
            continue
        device = site.device(name) if site is not None and several else None
        mac, identifier = identity(known_by, index)
        mac = own.mac or scenario.mac or (device.mac if device else "") or mac
        first = int(mac.replace(":", ""), 16)
        for number in range(first, first + len(template.nics)):
            other = taken.setdefault(number.to_bytes(6, "big").hex(":"), name)
            if other != name:
                place = document.place(*keys, "mac")
                problems.append(place.problem(f"machines '{other}' and '{name}' have the same MAC address"))
                break
        variables = _together(scenario.variables, own.variables)
        judged_as = name if len(several) > 1 else ""
        made.append(
            LoadedMachine(
                name=name,
                template=template,
                template_name=own.machine or scenario.machine,
                mac=mac,
                uuid=own.uuid or scenario.uuid or (device.uuid if device else "") or identifier,
                variables={key: variable.value for key, variable in variables.items()},
                secrets=tuple(key for key, variable in variables.items() if variable.secret),
                answers=_answers(own.f12 or scenario.f12, scenario.wizard, own.wizard),
                expectations=(
                    *(expectations(document, _above(scenario, own), machine=judged_as) if judged else ()),
                    *(expectations(document, own.expect, keys, machine=judged_as) if own.expect else ()),
                ),
            )
        )
    return tuple(made)


def shape_problems(root: Node, *, judged: bool = True) -> list[Problem]:
    """Keys that a scenario of this shape cannot do without, or cannot have beside each other.

    ``judged`` false: it needs no ``expect``.
    """
    if not isinstance(root, MappingNode):
        return []
    given = {key.text: (key, value) for key, value in root.entries}
    machines = _machine_nodes(root)
    found: list[Problem] = []
    for key in ("machine", *(("expect",) if judged else ())):
        if key in given:
            continue
        if not machines:
            found.append(root.place.problem(f"key '{key}' is missing"))
        for name, value in machines:
            own = value.entries if isinstance(value, MappingNode) else ()
            if key not in {entry.text for entry, _ in own}:
                found.append(name.place.problem(f"key '{key}' is missing", "or say it for all machines"))
    if "site" not in given and "sequence" not in given:
        found.append(root.place.problem("key 'sequence' is missing"))
    for key in ("sequence", "sequence_name", "deployment") if "site" in given else ():
        if key in given:
            hint = "leave it out: the site's sequences and deployments count"
            found.append(given[key][0].place.problem(f"'{key}' is the site's to say", hint))
    for key in ("mac", "uuid") if machines else ():
        if key in given:
            hint = "write it below 'machines'"
            found.append(given[key][0].place.problem(f"'{key}' is one machine's", hint))
    return found


def find_templates(root: Node, path: Path, templates: Path | None, problems: list[Problem]) -> None:
    """Look for every template that is named; what is wrong goes to ``problems``."""
    find_template(text_at(root, "machine"), path, templates, problems)
    for name, _ in _machine_nodes(root):
        find_template(text_at(root, "machines", name.text, "machine"), path, templates, problems)


def _machine_nodes(root: Node) -> tuple[tuple[Scalar, Node], ...]:
    entries = root.entries if isinstance(root, MappingNode) else ()
    machines = next((value for key, value in entries if key.text == "machines"), None)
    return tuple(machines.entries) if isinstance(machines, MappingNode) else ()


def text_at(root: Node | None, *keys: str) -> Scalar | None:
    """The text under these keys of a file's root, if there is one."""
    for key in keys:
        entries = root.entries if isinstance(root, MappingNode) else ()
        root = next((value for name, value in entries if name.text == key), None)
    return root if isinstance(root, Scalar) and root.data() is not None else None


def _template(
    root: Node, keys: tuple[str, ...], own: ScenarioMachine, path: Path, templates: Path | None,
    problems: list[Problem],
) -> Template | None:  # fmt: skip
    where = (*keys, "machine") if own.machine else ("machine",)
    found: list[Problem] = []
    template = find_template(text_at(root, *where), path, templates, found)
    problems += [problem for problem in found if problem not in problems]
    return template


def _above(scenario: Scenario, own: ScenarioMachine) -> Expect:
    """What is expected of all machines, without what this one says itself."""
    said = own.expect.model_fields_set if own.expect is not None else set()
    expect = scenario.expect
    return Expect.model_construct(**{key: getattr(expect, key) for key in expect.model_fields_set - said})


def _together(
    above: Mapping[str, DeviceVariable], own: Mapping[str, DeviceVariable]
) -> dict[str, DeviceVariable]:
    """Case does not count in a variable's name (R16)."""
    said = {name.casefold() for name in own}
    return {**{name: value for name, value in above.items() if name.casefold() not in said}, **own}


def _answers(f12: str, above: Wizard, own: Wizard | None) -> dict[str, Any]:
    choose = own.choose if own is not None and own.choose is not None else above.choose
    typed = {**above.variables, **(own.variables if own is not None else {})}
    return {"f12": f12 == "pressed", "choose": choose, "variables": typed}
