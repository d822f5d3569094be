"""Programs of packages and deployment types of applications that a console export holds: pure values.

Sources: SMS_Program's and SMS_Application's properties and the digest of an application (AppMgmtDigest) are
documented; that an export has a program as an object of its own is a guess. What cannot be read is left out:
the scenario may say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.sequence.xmltree import Document, Element
from lab.site.contents import parsed

#: ProgramFlags: AUTHORIZED_DYNAMIC_INSTALL, a task sequence may install it without a deployment (documented).
_AUTHORIZED = 0x1
_ROOTS = {"HKEY_LOCAL_MACHINE": "HKLM", "HKEY_CURRENT_USER": "HKCU", "HKEY_CLASSES_ROOT": "HKCR",
          "HKEY_USERS": "HKU"}  # fmt: skip
_OPERATORS = {
    "equals": "equals", "notequals": "notEquals", "lessthan": "less", "lessequals": "lessEqual",
    "greaterthan": "greater", "greaterequals": "greaterEqual",
}  # fmt: skip
_RETURNS = {
    "SuccessExitCodes": "success", "RebootExitCodes": "soft-reboot", "HardRebootExitCodes": "hard-reboot",
    "FastRetryExitCodes": "fast-retry",
}  # fmt: skip


@dataclass(frozen=True)
class Software:
    """Shapes as in the policy (docs/architecture.md). ``packages``: id -> policy; ``applications``: name and
    model name -> policy; ``contents``: what an application calls its content."""

    packages: Mapping[str, Any] = field(default_factory=dict)
    applications: Mapping[str, Any] = field(default_factory=dict)
    contents: tuple[str, ...] = ()


def software_of(texts: Iterable[str | bytes]) -> Software:
    """The software of an export's objects that are no task sequences, each the XML of one."""
    packages: dict[str, Any] = {}
    applications: dict[str, Any] = {}
    contents: list[str] = []
    for text in texts:
        document = parsed(text)
        if document is None:
            continue
        for kind, said in _instances(document):
            if kind == "SMS_Program" and said.get("PackageID") and said.get("ProgramName"):
                package = packages.setdefault(said["PackageID"].upper(), {"name": "", "programs": {}})
                package["programs"][said["ProgramName"]] = _program(said)
            elif kind in ("SMS_Application", "SMS_ApplicationLatest"):
                read = _application(said)
                if read is None:
                    continue
                applications[read["name"]] = read
                if read["model"]:
                    applications[read["model"]] = read
                contents += [read["content"]] if read["content"] else []
    return Software(packages, applications, tuple(contents))


def _instances(document: Document) -> Iterator[tuple[str, dict[str, str]]]:
    """Every WMI object of a document: its class, and its properties whatever their length."""
    for _, element in document.walk():
        if element.name != "INSTANCE":
            continue
        said: dict[str, str] = {}
        for child in element.children:
            value = next((one.text.strip() for one in child.children if one.name == "VALUE"), "")
            if child.name == "PROPERTY" and value:
                said.setdefault(child.attributes.get("NAME", ""), value)
        yield element.attributes.get("CLASSNAME", ""), said


def _program(said: Mapping[str, str]) -> dict[str, Any]:
    minutes = said.get("Duration", "")
    flags = said.get("ProgramFlags", "")
    return {
        "command": said.get("CommandLine", ""),
        "working_directory": said.get("WorkingDirectory", ""),
        "timeout": int(minutes) * 60 if minutes.isdigit() and len(minutes) < 6 and int(minutes) else None,
        "install_without_deployment": not flags.isdigit() or bool(int(flags[:10]) & _AUTHORIZED),
    }


# applications


def _application(said: Mapping[str, str]) -> dict[str, Any] | None:
    """What the digest says; its first deployment type counts, as by priority (guess)."""
    digest = parsed(said.get("SDMPackageXML", ""))
    if digest is None:
        return None
    root = digest.root
    application = _child(root, "Application")
    deployment = _child(root, "DeploymentType")
    installer = _child(deployment, "Installer")
    install = _arguments(_child(installer, "InstallAction"))
    command = _text(install.get("InstallCommandLine"))
    if deployment is None or not command:
        return None
    name = said.get("LocalizedDisplayName") or _text(_child(application, "Title"))
    model = said.get("ModelName", "")
    if not model and application is not None:
        scope, logical = (application.attributes.get(key, "") for key in ("AuthoringScopeId", "LogicalName"))
        model = f"{scope}/{logical}" if scope and logical else ""
    content = _child(_child(installer, "Contents"), "Content")
    limit = _text(install.get("MaxExecuteTime"))
    return {
        "name": name,
        "model": model,
        "content": content.attributes.get("ContentId", "").upper() if content is not None else "",
        "install": command,
        "detection": _detection(installer) or [],
        "requirements": [],
        "return_codes": {
            item.text.strip(): meaning
            for key, meaning in _RETURNS.items()
            for item in (install[key].children if key in install else ())
            if item.text.strip().lstrip("-").isdigit()
        },
        "dependencies": [],
        "timeout": int(limit) * 60 if limit.isdigit() and len(limit) < 6 and int(limit) else None,
        "allow_task_sequence": _text(_child(application, "AutoInstall")).casefold() == "true",
    }


def _arguments(action: Element | None) -> dict[str, Element]:
    listed = _child(action, "Args")
    return {one.attributes.get("Name", ""): one for one in (listed.children if listed is not None else ())}


def _detection(installer: Element | None) -> list[dict[str, Any]] | None:
    """The rules that must all hold; None when the method says more than the lab's rules can."""
    action = _child(installer, "DetectAction")
    given = _arguments(action)
    if _text(_child(action, "Provider")).casefold() == "msi":
        product = _text(given.get("ProductCode"))
        return [{"product": product}] if product else None
    body = parsed(_text(given.get("MethodBody")))
    method = body.root if body else _child(_child(installer, "CustomData"), "EnhancedDetectionMethod")
    settings = _child(method, "Settings")
    if settings is None:
        return None
    subjects = {
        one.attributes.get("LogicalName", ""): subject
        for one in settings.children
        if (subject := _subject(one)) is not None
    }
    found: list[dict[str, Any]] = []
    expression = _child(_child(method, "Rule"), "Expression")
    for one in _conjunction(expression):
        rule = _rule(one, subjects)
        if rule is None:
            return None
        found.append(rule)
    return found or None


def _subject(setting: Element) -> dict[str, Any] | None:
    """What a setting is about, as the beginning of a rule."""
    source = _child(setting, "RegistryDiscoverySource") or setting
    wide = source.attributes.get("Is64Bit", "true").casefold() != "false"
    view: dict[str, Any] = {} if wide else {"view": 32}
    if setting.name in ("File", "Folder"):
        path, last = _text(_child(setting, "Path")), _text(_child(setting, "Filter"))
        key = setting.name.casefold()
        return {key: path.rstrip("\\") + ("\\" + last if last else ""), **view} if path else None
    if setting.name == "MSI":
        return {"product": _text(_child(setting, "ProductCode"))}
    if source.name in ("RegistryDiscoverySource", "RegistryKey"):
        hive = source.attributes.get("Hive", "")
        value = _text(_child(source, "ValueName"))
        key = f"{_ROOTS.get(hive, hive)}\\{_text(_child(source, 'Key'))}"
        return {"registry": key, **({"value": value} if value else {}), **view}
    return None


def _conjunction(expression: Element | None) -> Sequence[Element]:
    """The parts of an And; an expression of another kind is its only part."""
    if expression is None:
        return ()
    operands = _child(expression, "Operands")
    if _text(_child(expression, "Operator")) != "And" or operands is None:
        return (expression,)
    return [part for one in operands.children for part in _conjunction(one)]


def _rule(expression: Element, subjects: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    operator = _text(_child(expression, "Operator")).casefold()
    operands = _child(expression, "Operands")
    reference, constant = _child(operands, "SettingReference"), _child(operands, "ConstantValue")
    if reference is None or constant is None:
        return None
    subject = subjects.get(reference.attributes.get("SettingLogicalName", ""))
    if subject is None:
        return None
    value = constant.attributes.get("Value", "")
    if reference.attributes.get("Method") == "Count":
        return dict(subject) if (operator, value) in (("notequals", "0"), ("greaterthan", "0")) else None
    meaning = _OPERATORS.get(operator)
    if meaning is None:
        return None
    if "registry" in subject and "value" in subject:
        return {**subject, "data": value, "operator": meaning}
    if "file" in subject and reference.attributes.get("PropertyPath", "") == "Version":
        return {**subject, "version": value, "operator": meaning}
    return None


def _child(element: Element | None, name: str) -> Element | None:
    if element is None:
        return None
    return next((child for child in element.children if child.name.rpartition(":")[2] == name), None)


def _text(element: Element | None) -> str:
    return element.text.strip() if element is not None else ""
