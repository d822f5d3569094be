"""The software of a scenario's site: packages' programs, applications, updates, child sequences, shares."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lab.scenario.fields import Code, Count, Duration, Flag, PackageId, Texts, WindowsPath
from lab.yamlio import BadValue, Model

Return = Literal["success", "failure", "soft-reboot", "hard-reboot", "fast-retry"]
Operator = Literal["exists", "equals", "notEquals", "less", "lessEqual", "greater", "greaterEqual"]


class Program(Model):
    """A program of a package."""

    command: str
    working_directory: str = ""
    timeout: Duration | None = None
    install_without_deployment: Flag = True
    """allow this program to be installed from a task sequence without being deployed"""


class Package(Model):
    """A package's policy. Its files are below ``content``."""

    name: str = ""
    programs: dict[str, Program] = Field(default_factory=dict)
    content: Flag = True
    """false: its programs need no files"""


class Rule(Model):
    """One condition of a detection method or a requirement; exactly one of the first seven is given."""

    file: WindowsPath | None = None
    folder: WindowsPath | None = None
    registry: str | None = None
    product: str | None = None
    memory: Count | None = None
    """MiB"""
    disk: Count | None = None
    """free MB"""
    architecture: Literal["x64", "x86", "arm64"] | None = None
    value: str | None = None
    """the name of the registry value"""
    data: str | None = None
    version: str | None = None
    view: Literal[32, 64] | None = None
    """32: file, folder and registry as a 32-bit program sees them on a 64-bit Windows"""
    operator: Operator | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Rule:
        subjects = (
            self.file, self.folder, self.registry, self.product, self.memory, self.disk, self.architecture,
        )  # fmt: skip
        if sum(subject is not None for subject in subjects) != 1:
            raise BadValue(
                "a rule asks for one of file, folder, registry, product, memory, disk, architecture"
            )
        return self

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class Application(Model):
    """An application, by the name that a dynamic list gives it."""

    model: str = ""
    """the model name by which a sequence refers to it: ScopeId_…/Application_…"""
    content: PackageId | None = None
    """the package with its files"""
    install: str
    detection: tuple[Rule, ...] = ()
    requirements: tuple[Rule, ...] = ()
    return_codes: dict[str, Return] = Field(default_factory=dict)
    dependencies: Texts = ()
    timeout: Duration | None = None
    allow_task_sequence: Flag = True


class Update(Model):
    """A software update that the site deploys to the machine."""

    name: str
    mandatory: Flag = True
    exit: Code = 0


class Child(Model):
    """A task sequence that another one runs."""

    sequence: str
    disabled: Flag = False


class Share(Model):
    """A share of the network, with who may connect it ("": anybody)."""

    account: str = ""
    password: str = ""
