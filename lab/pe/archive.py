"""Get packages out of the archive that the machine's own apt knows, as an ordinary user.

apt runs with the machine's sources, keys and settings, but with a state and a cache of its own, so that
nothing outside the cache folder is written and what the host has installed does not matter.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lab.errors import LabFault
from lab.pe.programs import run
from lab.pe.recipe import Package, Recipe

Say = Callable[[str], None]

#: Cleared: hooks that the host's packages hang into apt; they would write elsewhere.
_SETTINGS = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
Debug::NoLocking "true";
"""
_SYSTEM_LISTS = Path("/var/lib/apt/lists")
_HINT = "check that apt-get update works on this machine, then try again"


class Archive:
    """The machine's package archive, reached through a private apt below ``folder``."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._folder = folder
        self._say = say
        self._private = False
        self._lists = folder / "lists"
        for name in ("lists/partial", "state", "cache/archives/partial", "debs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text("")  # nothing is installed: closures come out complete
        (folder / "apt.conf").write_text(_SETTINGS)

    def _apt(
        self, program: str, *arguments: str, what: str, cwd: Path | None = None, check: bool = True
    ) -> str:
        folder = self._folder.resolve()
        lists = folder / "lists" if self._private or not self._has_system_lists() else _SYSTEM_LISTS
        options = [
            "-c", str(folder / "apt.conf"),
            "-o", f"Dir::State={folder / 'state'}",
            "-o", f"Dir::State::status={folder / 'status'}",
            "-o", f"Dir::State::lists={lists}",
            "-o", f"Dir::Cache={folder / 'cache'}",
        ]  # fmt: skip
        return run([program, *options, *arguments], what=what, cwd=cwd, check=check, hint=_HINT)

    @staticmethod
    def _has_system_lists() -> bool:
        return any(_SYSTEM_LISTS.glob("*_Packages*")) if _SYSTEM_LISTS.is_dir() else False

    def refresh(self) -> None:
        """Fetch the archive's lists into the cache; from then on only those are used."""
        self._say("fetching the archive's package lists")
        self._private = True
        self._apt("apt-get", "-q", "update", what="fetching the archive's package lists")

    def known(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Package]:
        """What the lists say of (name, version) pairs; a pair the archive does not have is left out."""
        text = self._apt(
            "apt-cache", "show", *(f"{name}={version}" for name, version in names),
            what="asking for packages", check=False,
        )  # fmt: skip
        found = {}
        for stanza in text.split("\n\n"):
            fields = dict(re.findall(r"^([A-Z][A-Za-z0-9-]*): (.*)$", stanza, re.MULTILINE))
            if "SHA256" in fields:
                name, version, size = fields["Package"], fields["Version"], int(fields["Size"])
                package = Package(name, version, fields["Architecture"], fields["SHA256"], size)
                found[package.name, package.version] = package
        return found

    def resolve(self, recipe: Recipe) -> tuple[Package, ...]:
        """The current packages for a recipe: its roots with all they depend on, less ``without``."""
        roots = self._first_known((*recipe.image, *recipe.tools))
        text = self._apt(
            "apt-get", "-q", "-s", "--no-install-recommends", "install", *roots,
            what="resolving the packages of LabPE",
        )  # fmt: skip
        chosen = re.findall(r"^Inst (\S+) \((\S+) .*\[\w+\]\)", text, re.MULTILINE)
        wanted = [(name, version) for name, version in chosen if name not in recipe.without]
        known = self.known(wanted)
        if missing := [pair for pair in wanted if pair not in known]:
            raise LabFault(f"the archive's lists do not describe {missing[0][0]} {missing[0][1]}", hint=_HINT)
        return tuple(sorted(known.values()))

    def _first_known(self, roots: Sequence[str]) -> list[str]:
        """Of each root's alternatives ``a | b`` the first that has a version; an empty one is left out."""
        alternatives = [[name.strip() for name in root.split("|")] for root in roots]
        names = sorted({name for group in alternatives for name in group if name})
        policy = self._apt("apt-cache", "policy", *names, what="asking for packages")
        there = set(re.findall(r"^(\S+):\n(?:  .*\n)*?  Candidate: (?!\(none\))\S", policy, re.MULTILINE))
        chosen = []
        for group in alternatives:
            found = next((name for name in group if name in there or not name), None)
            if found is None:
                raise LabFault(f"the archive has no package {' or '.join(group)}", hint=_HINT)
            chosen.append(found)
        return [name for name in chosen if name]

    def fetch(self, packages: Sequence[Package]) -> dict[Package, Path]:
        """Each package's file, from the cache or the archive, its SHA-256 checked.

        Raises GoneError when the archive no longer has one of them, LabFault when fetching fails.
        """
        places = {package: self._folder / "debs" / f"{package.sha256}.deb" for package in packages}
        missing = [package for package in packages if not places[package].is_file()]
        if not missing:
            return places
        known = self.known((package.name, package.version) for package in missing)
        gone = [package for package in missing if known.get((package.name, package.version)) != package]
        if gone:
            raise GoneError(gone)
        size = sum(package.size for package in missing)
        self._say(f"fetching {len(missing)} packages, {size / 1e6:.0f} MB")
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".fetch-") as name:
            folder = Path(name).resolve()
            names = [f"{package.name}={package.version}" for package in missing]
            self._apt("apt-get", "-q", "download", *names, what="fetching packages", cwd=folder)
            by_hash = {file_sha256(path): path for path in folder.glob("*.deb")}
            for package in missing:
                if package.sha256 not in by_hash:
                    raise LabFault(
                        f"package {package.name} {package.version} came with another content than locked",
                        hint=_HINT,
                    )
                shutil.move(by_hash[package.sha256], places[package])
        return places


class GoneError(LabFault):
    """The archive no longer has these packages as they were locked."""

    def __init__(self, packages: Sequence[Package]) -> None:
        self.packages = tuple(packages)
        names = ", ".join(f"{package.name} {package.version}" for package in packages[:4])
        more = f" and {len(packages) - 4} more" if len(packages) > 4 else ""
        super().__init__(f"the archive no longer has {names}{more}", hint=_HINT)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
