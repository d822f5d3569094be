"""``osdlab code``: any notation of an error code to its meanings."""

from __future__ import annotations

import json

import click

from lab.errors import EXIT_OK
from lab.logs.meanings import meanings, to_json


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("code", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help='{"input", "known", "meanings": […]}')
def code(code: tuple[str, ...], as_json: bool) -> int:
    """Say what an error code means: 0x80070002, 80070002, 2147942402, -2147024894, 2, ERROR_FILE_NOT_FOUND.

    A code without a known meaning is taken apart; that is no error. What is no code at all is (exit 2).
    """
    text = " ".join(code)
    found = meanings(text)
    if as_json:
        click.echo(json.dumps(to_json(text, found), indent=1))
        return EXIT_OK
    for meaning in found:
        signed = meaning.code - (1 << 32) if meaning.code & 0x80000000 else meaning.code
        numbers = f"{meaning.code}" + (f", {signed}" if signed != meaning.code else "")
        click.echo(f"{meaning.hex}  {meaning.name or '(no known name)'}  ({numbers}; read as {meaning.via})")
        for label, value in (
            ("means", meaning.message or "no known meaning"),
            ("in a sequence", meaning.cause),
            ("kind", meaning.source),
            ("facility", meaning.facility),
        ):
            if value:
                click.echo(f"  {label + ':':<15}{value}")
    return EXIT_OK
