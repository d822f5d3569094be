"""``osdlab sequence``: look at exported task sequences, and turn them into XML or JSON and back."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from lab.commands.simulate import simulate
from lab.errors import EXIT_OK, UsageError
from lab.files import write_whole
from lab.sequence import beginnings, secrets
from lab.sequence.outline import outline, type_name
from lab.sequence.validate import warnings
from lab.sequence.xmlbuild import document_of
from lab.sequence.xmlformat import Export
from lab.sequence.xmlwrite import document_to_json, write_document
from lab.site.exports import ExportFile, read_file


@click.group()
def sequence() -> None:
    """Look at exported task sequences: XML, a console export's zip or folder, or the JSON form."""


sequence.add_command(simulate)


@sequence.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Only the sequence with this name or package id.")
@click.option("--json", "as_json", is_flag=True, help="The tree as JSON.")
def show(path: Path, name: str, as_json: bool) -> int:
    """Show every group and step, conditions, references, and what is not understood."""
    read = read_file(path)
    chosen = [read.choose(name)[1]] if name else [found for _, found in read.found]
    if as_json:
        data = {
            "file": str(path),
            "sequences": [outline(found.sequence) for found in chosen],
            "content": [item.to_json() for item in read.content],
        }
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return EXIT_OK
    out = Console(highlight=False, soft_wrap=True)
    out.width = out.width if out.is_terminal else 160
    for found in chosen:
        tree = outline(found.sequence)
        out.print(_tree(tree), soft_wrap=False)
        for problem in (*found.sequence.flaws, *warnings(found.sequence)):
            out.print(Text(f"{problem}", style="yellow"))
        _print_unknown(out, tree)
    _print_content(out, read)
    return EXIT_OK


@sequence.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(["xml", "json"]), required=True)
@click.option("--name", default="", help="Which sequence, where FILE holds several documents.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to write it; standard output when not given.")  # fmt: skip
@click.option("--blank-secrets", is_flag=True,
              help="Leave out passwords, product keys and other secret values, and say which.")  # fmt: skip
def convert(path: Path, form: str, name: str, output: Path | None, blank_secrets: bool) -> int:
    """Write the whole document, with all that is not understood, as XML or JSON (docs/sequence-json.md)."""
    read = read_file(path)
    export = read.exports[0] if len(read.exports) == 1 and not name else read.choose(name)[0]
    if blank_secrets:
        _blank(export)
    if form == "xml":
        data = write_document(export.document)
    else:
        text = json.dumps(document_to_json(export.document), indent=1, ensure_ascii=False)
        data = text.encode("utf-8") + b"\n"
    _put(data, output)
    return EXIT_OK


@sequence.command()
@click.option("--from", "beginning", type=click.Choice(["install-image", "build-and-capture", "custom"]),
              required=True)  # fmt: skip
@click.option("--name", default="New task sequence", show_default=True)
@click.option("--image", default="LAB00001", show_default=True, help="Package of the image to install.")
@click.option("--index", default=1, show_default=True, type=click.IntRange(1, 999))
@click.option("--client", default="LAB00003", show_default=True, help="Package of the client.")
@click.option("--destination", default="", help="build-and-capture: the WIM file on a share.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to write it; standard output when not given.")  # fmt: skip
def new(
    beginning: str, name: str, image: str, index: int, client: str, destination: str, output: Path | None
) -> int:
    """Make a new sequence: install an image, build and capture a reference machine, or nothing in it yet."""
    if beginning == "custom":
        made = beginnings.custom(name)
    elif beginning == "install-image":
        made = beginnings.install_image(name, image=image, index=index, client=client)
    else:
        if not destination.startswith("\\\\"):
            raise click.UsageError(r"build-and-capture wants --destination \\server\share\FILE.wim.")
        made = beginnings.build_and_capture(
            name, image=image, index=index, client=client, destination=destination
        )
    _put(write_document(document_of(made)), output)
    return EXIT_OK


def _put(data: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    try:
        write_whole(output, data.decode("utf-8"))
    except OSError as error:
        raise UsageError(f"'{output}' cannot be written: {error.strerror}") from error


def _blank(export: Export) -> None:
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    blanked = secrets.blank_secrets(export)
    for item in blanked:
        err.print(Text(str(item)))
    err.print(f"{len(blanked)} secret value{'' if len(blanked) == 1 else 's'} blanked")


def _tree(data: dict[str, Any]) -> Tree:
    title = Text(data["name"] or "(no name)", style="bold")
    about = ", ".join(filter(None, (data["package_id"], f"schema {data['version']}", data["file"])))
    top = Tree(title.append(f"  {about}", style="dim"))
    for reference in data["references"]:
        top.add(Text(f"refers to {_reference(reference)}", style="dim"))
    _add(top, data["children"], dim=False)
    return top


def _add(tree: Tree, items: list[dict[str, Any]], *, dim: bool) -> None:
    for item in items:
        off = dim or item["disabled"]
        line = Text(item["name"] or "(no name)", style="" if item["kind"] == "step" else "bold")
        if item["kind"] == "step":
            line.append(f"  {type_name(item['type'])}", style="cyan")
        marks = [
            "disabled" if item["disabled"] else "",
            "continue on error" if item["continue_on_error"] else "",
            f"runs {item['sequence']}" if item.get("sequence") else "",
            "" if item.get("run_in", "WinPEandFullOS") == "WinPEandFullOS" else f"in {item['run_in']}",
            f"retry {item['retry_count']}" if item.get("retry_count") else "",
            f"at most {item['timeout']} s" if item.get("timeout") else "",
            *(_reference(reference) for reference in item["references"]),
        ]
        said = ", ".join(mark for mark in marks if mark)
        if said:
            line.append(f"  {said}", style="magenta")
        if item["conditions"]:
            line.append(f"\n  if {item['conditions']}", style="green")
        if off:
            line.stylize("dim")
        branch = tree.add(line)
        _add(branch, item.get("children", []), dim=off)


def _reference(reference: dict[str, str]) -> str:
    if "application" in reference:
        return f"application {reference['application']}"
    program = reference.get("program", "")
    return reference.get("package", "nothing") + (f" ({program})" if program not in ("", "*") else "")


def _print_unknown(out: Console, data: dict[str, Any]) -> None:
    """All that the model does not hold, gathered: an attribute of every step is one line."""
    counts: Counter[tuple[str, str]] = Counter()
    waiting = [data]
    first: dict[tuple[str, str], str] = {}
    while waiting:
        node = waiting.pop()
        waiting += reversed(node.get("children", []))
        for item in node["unknown"]:
            key = (item["kind"], item["name"])
            counts[key] += 1
            first.setdefault(key, f"{item['line']}:{item['column']}")
    for (kind, name), count in sorted(counts.items()):
        times = f", {count} times" if count > 1 else ""
        out.print(Text(f"unknown {kind} {name}{times}, first at {first[kind, name]}: kept", style="dim"))


def _print_content(out: Console, read: ExportFile) -> None:
    if not any(item.kind != "task-sequence" or item.missing for item in read.content):
        return
    out.print(Text("Content", style="bold"))
    for item in read.content:
        where = item.files or item.place or "not in this export"
        line = Text(f"  {item.id}  {item.kind}  {item.name}  ")
        out.print(line.append(where, style="yellow" if item.missing else "dim"))
