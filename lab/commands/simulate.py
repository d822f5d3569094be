"""``osdlab sequence simulate``: run an export in the simulator to its end, without a scenario."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click
from rich.console import Console
from rich.text import Text

from lab.errors import EXIT_OK, InputError, Problem, UsageError
from lab.hypervisor.protocol import MachineSpec
from lab.scenario.doublesfile import read_doubles
from lab.scenario.finding import find_template
from lab.scenario.machines import MACHINE_NAME, identity
from lab.scenario.schema import machine_spec
from lab.sequence import codes
from lab.sequence.model import Group, Step, TaskSequence
from lab.sequence.nested import EndlessSequence, child_id, children_of, expand
from lab.sequence.outline import type_name
from lab.sequence.steptypes import STEP_TYPES
from lab.sequence.validate import validate, warnings
from lab.sequence.variables import VariableRefused, Variables, user_name_problem
from lab.settings import Settings
from lab.simulation.alone import Alone, Start, double_unknown, paths, simulate_alone, unset_variables
from lab.site.exports import ExportFile, read_file
from lab.yamlio import Place, Scalar, did_you_mean

#: What a simulated machine has where no template was asked for: a PC, not the least that a test needs.
PC_MEMORY, PC_DISK = 8 << 10, 128 << 30
TEMPLATE = "uefi-x64"

_STYLES = {"succeeded": "green", "failed": "red", "skipped": "dim", "disabled": "dim"}


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--template", metavar="TEMPLATE",
              help=f"The machine; else {TEMPLATE} with a PC's memory and disk.")  # fmt: skip
@click.option("--name", default="", help="Which sequence, where FILE holds several.")
@click.option("--start", type=click.Choice(["auto", "pxe", "full-os"]), default="auto", show_default=True,
              help="In Windows PE from the network, or by an installed system's client.")  # fmt: skip
@click.option("--set", "settings_", multiple=True, metavar="NAME=VALUE",
              help="A variable of the device, before the first step.")  # fmt: skip
@click.option("--fail", "fails", multiple=True, metavar="STEP=CODE",
              help="The step of this name, or group/step, ends with this code.")  # fmt: skip
@click.option("--missing", multiple=True, metavar="PACKAGE",
              help="A package or child sequence that the site does not have.")  # fmt: skip
@click.option("--doubles", "doubles_file", metavar="FILE",
              type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="YAML with 'doubles:' as in a scenario.")  # fmt: skip
@click.option("--strict", is_flag=True,
              help="End before the first step that needs a double, and list them all.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The result and the trace as JSON.")
@click.pass_obj
def simulate(
    settings: Settings,
    path: Path,
    template: str | None,
    name: str,
    start: str,
    settings_: tuple[str, ...],
    fails: tuple[str, ...],
    missing: tuple[str, ...],
    doubles_file: Path | None,
    strict: bool,
    as_json: bool,
) -> int:
    """Run a sequence in the simulator to its end, and show what ran.

    Content that it refers to is taken to be there. What only Windows can run, and no double answers,
    succeeds with exit code 0, and is listed. A sequence that fails is a result: the exit code is 0.
    """
    variables = _variables(settings_)
    doubles = read_doubles(doubles_file) if doubles_file else ()
    spec = _machine(template, settings)
    read = read_file(path)
    sequence = _chosen(read, name)
    sequence = _with_children(read, sequence)
    unknown = _unknown_steps(sequence)
    patterns = [double.step for double in doubles if double.step]
    problems = validate(double_unknown(sequence, patterns))
    if problems:
        raise InputError(problems)
    alone = simulate_alone(
        sequence, spec, start=None if start == "auto" else cast(Start, start),
        variables=variables, doubles=doubles, fails=_fails(sequence, fails),
        missing=missing, records=True,
    )  # fmt: skip
    data = _answer(sequence, alone, template or TEMPLATE, strict=strict)
    said = [str(problem) for problem in (*sequence.flaws, *warnings(sequence))]
    data["warnings"] = [*said, *unknown, *unset_variables(sequence, alone)]
    if as_json:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        _print(data)
    return EXIT_OK


def _variables(pairs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in pairs:
        name, sign, value = text.partition("=")
        if not sign:
            raise click.UsageError(f"--set wants NAME=VALUE, not '{text}'.")
        if wrong := user_name_problem(name):
            facts = name.strip().startswith("_")
            hint = "where a run begins is --start, what the machine is --template" if facts else ""
            raise UsageError(f"--set {name.strip()}: the variable {wrong}", hint=hint)
        found[name.strip()] = value
    try:
        Variables(found)
    except VariableRefused as refused:
        raise UsageError(f"--set: {refused}") from refused
    return found


def _machine(template: str | None, settings: Settings) -> MachineSpec:
    problems: list[Problem] = []
    written = Scalar(Place("the command line"), template or TEMPLATE, plain=False)
    found = find_template(written, Path("the command line"), settings.vm_templates, problems)
    if found is None:
        raise UsageError("; ".join(problem.message for problem in problems),
                         hint="; ".join(problem.hint for problem in problems if problem.hint))  # fmt: skip
    spec = machine_spec(found, MACHINE_NAME, *identity("simulate"))
    if template is None:
        disks = tuple(replace(disk, size=PC_DISK) for disk in spec.disks)
        spec = replace(spec, memory=PC_MEMORY, disks=disks)
    return spec


def _chosen(read: ExportFile, name: str) -> TaskSequence:
    """The sequence that is named, the only one, or the only one that no other of the file runs."""
    if not name and len(read.found) > 1:
        run = {child_id(step).upper() for _, found in read.found for step in children_of(found.sequence)}
        tops = [found.sequence for _, found in read.found if found.sequence.package_id.upper() not in run]
        if len(tops) == 1:
            return tops[0]
    return read.choose(name)[1].sequence


def _with_children(read: ExportFile, sequence: TaskSequence) -> TaskSequence:
    children = {
        found.sequence.package_id: found.sequence for _, found in read.found if found.sequence.package_id
    }
    try:
        return expand(sequence, children)
    except EndlessSequence as error:
        place = sequence.position
        raise InputError([Problem(place.path, place.line, place.column, str(error))]) from error


def _unknown_steps(sequence: TaskSequence) -> list[str]:
    found = [
        f"{step.position}: step '{step.name}' has the type '{step.type}', which is not supported: a double "
        "answers it"
        for step in sequence.steps()
        if step.type not in STEP_TYPES
    ]
    return found + [
        f"{step.position}: step '{step.name}' runs the task sequence {child_id(step)}, which the file does "
        "not hold: a double answers it"
        for step in children_of(sequence)
    ]


def _fails(sequence: TaskSequence, given: tuple[str, ...]) -> dict[int, int]:
    items: dict[int, Group | Step] = {pointer: item for pointer, _, item in sequence.walk()}
    known = {pointer: path for pointer, path in paths(sequence).items() if isinstance(items[pointer], Step)}
    found: dict[int, int] = {}
    for text in given:
        wanted, sign, number = text.rpartition("=")
        if not (wanted and sign):
            raise click.UsageError(f"--fail wants STEP=CODE, not '{text}'.")
        try:
            code = codes.parse(number)
        except ValueError:
            raise click.UsageError(f"--fail {text}: '{number}' is no exit code of 32 bits.") from None
        end = "/" + wanted.strip().strip("/").casefold()
        pointers = [pointer for pointer, path in known.items() if f"/{path}".casefold().endswith(end)]
        if not pointers:
            names = {items[pointer].name for pointer in known}
            raise UsageError(f"--fail: there is no step '{wanted}'", hint=did_you_mean(wanted, names))
        found |= dict.fromkeys(pointers, code)
    return found


def _answer(sequence: TaskSequence, alone: Alone, template: str, *, strict: bool) -> dict[str, Any]:
    trace = alone.trace
    result: str = alone.result
    if strict and alone.needs:
        result = "needs-doubles"
        first = next((at for at, entry in enumerate(trace) if entry.assumed), len(trace))
        trace = trace[:first]
    ended: Mapping[str, Any] = {
        "code": alone.code, "failed_step": alone.failed_step, "step_code": alone.step_code,
        "reason": alone.reason or _logged(alone),
    }  # fmt: skip
    if result == "needs-doubles":
        ended = {"code": None, "failed_step": "", "step_code": None, "reason": "doubles are needed"}
    return {
        "result": result,
        **ended,
        "sequence": {"name": sequence.name, "package_id": sequence.package_id},
        "template": template,
        "start": {"environment": alone.start, "why": alone.why},
        "trace": [entry.to_json() for entry in trace],
        "counts": dict(alone.run.counts),
        "needs": [need.to_json() for need in alone.needs],
        "packages": list(alone.packages),
        "restarts": alone.run.starts - 1,
        "seconds": round(alone.run.seconds, 1),
        "variables": alone.run.variables,
    }


def _logged(alone: Alone) -> str:
    """The first error that smsts.log has of the step that ended the sequence: its code alone says little."""
    said = ""
    for event in alone.events:
        if event.kind == "instruction" and event.data["name"] == alone.failed_step:
            said = ""
        elif event.kind == "record" and event.data.get("type") == 3:
            said = said or str(event.data["message"]).strip().partition("\n")[0].strip()
    return said if alone.result == "failed" else ""


def _print(data: dict[str, Any]) -> None:
    out = Console(highlight=False, soft_wrap=True)
    start, sequence = data["start"], data["sequence"]
    title = Text(sequence["name"] or "(no name)", style="bold")
    out.print(title.append(f"  on {data['template']}, begins in {start['environment']}: {start['why']}",
                           style="dim"))  # fmt: skip
    for entry in data["trace"]:
        out.print(_line(entry))
    style = "green" if data["result"] == "success" else "red"
    end = Text(data["result"], style=f"bold {style}")
    if data["failed_step"]:
        end.append(f"  {data['failed_step']}: {codes.describe(data['step_code'])}")
    if data["reason"]:
        end.append(f"  {data['reason']}")
    out.print(end)
    out.print(Text(", ".join(f"{number} {how}" for how, number in data["counts"].items()) or "no effects",
                   style="dim"))  # fmt: skip
    if data["needs"]:
        kinds = Counter(need["kind"] for need in data["needs"])
        counted = ", ".join(f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in kinds.items())
        word = "needed" if data["result"] == "needs-doubles" else "assumed to succeed"
        out.print(Text(f"{counted} {word}; a double (--doubles FILE) says otherwise:"))
        for need in data["needs"]:
            shown = " ".join(need["shown"].split())
            out.print(Text(f"  {need['kind']}  {shown[:120]}  ({need['step']})", style="cyan"))
    for warning in data["warnings"]:
        out.print(Text(warning, style="yellow"))


def _line(entry: dict[str, Any]) -> Text:
    line = Text(f"{entry['status']:9} ", style=_STYLES[entry["status"]])
    line.append("  " * entry["depth"])
    line.append(entry["name"] or "(no name)", style="bold" if entry["kind"] == "group" else "")
    if entry["kind"] == "step":
        line.append(f"  {type_name(entry['type'])}", style="cyan")
    if entry["status"] == "failed" and entry["code"]:
        line.append(f"  {codes.describe(entry['code'])}", style="red")
    elif entry["status"] == "failed" and entry["reason"]:
        line.append(f"  {entry['reason']}", style="red")
    said = [word for word, true in (("continued", entry["continued"]), ("assumed", entry["assumed"])) if true]
    return line.append(f"  {', '.join(said)}" if said else "", style="magenta")
