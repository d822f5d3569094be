"""What both servers are told to serve: the same file to the same account."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from lab.site.model import (
    ALL_UNKNOWN,
    Account,
    Collection,
    Deployment,
    Device,
    SiteObjects,
    SitePackage,
    SiteSequence,
)  # fmt: skip

ACCOUNT = ("LAB-naa", "Right-1")
DEVICES = 4000


def mac(index: int) -> str:
    return f"52:54:00:10:{index >> 8:02x}:{index & 255:02x}"


def site() -> SiteObjects:
    """4000 devices, half of them in a collection with a required deployment, all with variables."""
    names = [f"PC-{index}" for index in range(DEVICES)]
    return SiteObjects(
        "LAB",
        devices=tuple(
            Device(name, mac(index), "", {f"Role{number}": "x" * 20 for number in range(10)})
            for index, name in enumerate(names)
        ),
        collections=(Collection("Half", tuple(names[::2]), variables={"Place": "here"}),
                     Collection("All", tuple(names))),
        packages=(SitePackage("LAB00001", distributed={"DP1": "there"}),
                  SitePackage("LAB00002", kind="boot-image", distributed={"DP1": "there"})),
        sequences=(SiteSequence("LAB00010", "Deploy", "LAB00002"),),
        deployments=(Deployment("LAB20001", "LAB00010", "All"),
                     Deployment("LAB20002", "LAB00010", "Half", "required"),
                     Deployment("LAB20003", "LAB00010", ALL_UNKNOWN)),
        account=Account(*ACCOUNT),
    )  # fmt: skip


def configuration(folder: Path, host: str, port: int) -> dict[str, Any]:
    """The service's. A policy is as large as one of a real sequence of forty steps: some 40 KB."""
    steps = [{"name": f"Step {number}", "type": "SMS_TaskSequence_RunCommandLineAction",
              "text": "x" * 900} for number in range(40)]  # fmt: skip
    return {
        "host": host,
        "port": port,
        "site": site().to_json(),
        "policies": {"LAB00010": {"sequence": {"steps": steps}, "variables": {}}},
        "content": {"LAB00001": {"big.wim": str(folder / "big.wim")}},
        "contents": {"LAB00001": [{"name": "big.wim", "size": 0, "sha256": ""}]},
        "scripts": {"boot": {"LAB00002": {"uefi": "#!ipxe\n", "bios": "#!ipxe\n"}}, "prompt": "#!ipxe\n",
                    "abort": "{reason}", "ignore": "{reason}"},
        "database": str(folder / "site.sqlite"),
        "log": str(folder / "SMSPXE.log"),
    }  # fmt: skip


def nginx_configuration(folder: Path, listen: str) -> str:
    """nginx as it serves best: one worker as the service is one process, sendfile, Basic authentication."""
    digest = base64.b64encode(hashlib.sha1(ACCOUNT[1].encode()).digest()).decode()  # what nginx calls {SHA}
    (folder / "accounts").write_text(f"{ACCOUNT[0]}:{{SHA}}{digest}\n")
    (folder / "nginx-root" / "content" / "LAB00001").mkdir(parents=True, exist_ok=True)
    link = folder / "nginx-root" / "content" / "LAB00001" / "big.wim"
    if not link.exists():
        link.hardlink_to(folder / "big.wim")
    places = "".join(
        f"  {name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""worker_processes 1;
user root;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 512; }}
http {{
{places}  access_log {folder}/nginx-access.log;
  sendfile on; tcp_nopush on;
  server {{
    listen {listen};
    root {folder}/nginx-root;
    auth_basic "distribution point"; auth_basic_user_file {folder}/accounts;
  }}
}}
"""
