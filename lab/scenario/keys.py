"""Parts of a scenario: its machines, their answers, what a package is and how it lies on the site."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, field_validator

from lab.scenario.expect import Expect
from lab.scenario.fields import Flag, Guid, Mac, VariableName, VariableValue
from lab.site.model import Distributed
from lab.yamlio import BadValue, Model, quoted

#: What a package may be besides a path: built by the lab; known without any location; not known any more.
BUILT_IN_CONTENT = ("reference-image", "boot-image", "client", "missing", "deleted")
#: The content every site has unless the scenario says otherwise.
DEFAULT_CONTENT = {"LAB00001": "reference-image", "LAB00002": "boot-image", "LAB00003": "client"}


def machine_name(value: Any) -> str:
    """A computer's name, as Windows takes it."""
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,13}[A-Za-z0-9])?", text):
        raise BadValue(f"{quoted(value)} is no computer's name", "letters, digits and hyphens; at most 15")
    return text


MachineName = Annotated[str, PlainValidator(machine_name), WithJsonSchema({"type": "string"})]
F12 = Literal["pressed", "left"]


class DeviceVariable(Model):
    """A variable of the device: its value, or a mapping that also says that nobody may see it."""

    shorthand: ClassVar[str] = "value"
    value: VariableValue
    secret: Flag = False
    """``***`` in log, timeline, record and report, as a password's is by its name"""


class Wizard(Model):
    """What is typed into the Task Sequence Wizard, with the machine's keyboard."""

    choose: str | None = None
    """the sequence: its deployment, its name, or its number in the list"""
    variables: dict[VariableName, VariableValue] = Field(default_factory=dict)
    """the values of variables that the site leaves empty"""

    @field_validator("variables")
    @classmethod
    def _typed_with_a_us_keyboard(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not (text.isascii() and (text.isprintable() or not text)):
                raise BadValue(
                    f"the value of {quoted(name)} cannot be typed", "a US keyboard has printable ASCII only"
                )
        return value


class Content(Model):
    """A package's content, and how it lies on the distribution points."""

    shorthand: ClassVar[str] = "source"
    source: str | None = None
    """reference-image, boot-image, client, missing, deleted, or a path"""
    distribution_point: Distributed = "there"
    """missing: its files are gone (404); denied: the account cannot read it (401); damaged: other bytes"""


class ScenarioMachine(Model):
    """One of several machines. What it does not say is as above ``machines``."""

    machine: str | None = None
    """a hardware template of vm-templates/"""
    mac: Mac | None = None
    """of its first card; default: the device's of this name, else one made from the scenario's name"""
    uuid: Guid | None = None
    variables: dict[VariableName, DeviceVariable] = Field(default_factory=dict)
    """over those that stand above ``machines``"""
    f12: F12 | None = None
    wizard: Wizard | None = None
    expect: Expect | None = None
    """a key here stands in place of the same key of what is expected of all machines"""
