"""What the service is told to serve: one JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lab.site.model import SiteObjects

_HTTP = 80


def _no_scripts() -> dict[str, Any]:
    return {"boot": {}, "prompt": "", "abort": "", "ignore": ""}


@dataclass(frozen=True)
class SiteConfig:
    """``site``: the objects' JSON; {} for a site without any. ``policies``: sequence package -> base of its
    policy; ``machines``: MAC -> {"name", "policy": additions}; ``content``: package -> relative name -> file;
    ``contents``: package -> [{"name", "size", "sha256"}]; ``boot``: name -> file; ``boot_images`` and
    ``command_line``: what ``scripts`` were made of (``lab.site.pxescript``). ``shares``: the folder of what
    machines write to file servers; ``database``: site.sqlite, ``log``: SMSPXE.log; "" for none. ``port`` 0
    takes any free one.
    """

    host: str = "127.0.0.1"
    port: int = _HTTP
    site: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    content: dict[str, dict[str, str]] = field(default_factory=dict)
    contents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    boot: dict[str, str] = field(default_factory=dict)
    boot_images: dict[str, Any] = field(default_factory=dict)
    scripts: dict[str, Any] = field(default_factory=_no_scripts)
    command_line: str = ""
    shares: str = ""
    database: str = ""
    log: str = ""

    def objects(self) -> SiteObjects:
        return SiteObjects.from_json(self.site) if self.site else SiteObjects("LAB")

    def address(self) -> str:
        """What URLs of the site begin with, behind ``http://``."""
        return self.host if self.port == _HTTP else f"{self.host}:{self.port}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> SiteConfig:
        """Raises ValueError for a key that the service does not know."""
        if unknown := data.keys() - {one.name for one in fields(SiteConfig)}:
            raise ValueError(f"the service's configuration has unknown keys: {', '.join(sorted(unknown))}")
        return SiteConfig(**data)


def without_secrets(site: Mapping[str, Any]) -> dict[str, Any]:
    """The objects' JSON as it may stand in a run's folder: no password, no value of a secret variable."""

    objects = SiteObjects.from_json(site)

    def blanked(item: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: "" if objects.is_secret(name) else value for name, value in item["variables"].items()}
        return {**item, "variables": values}

    account = site.get("account")
    return {
        **site,
        "devices": [blanked(item) for item in site.get("devices", ())],
        "collections": [blanked(item) for item in site.get("collections", ())],
        "account": {**account, "password": ""} if account else None,
    }
