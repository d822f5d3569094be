"""Choose kernel modules by name with all they depend on, and bring them in uncompressed."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabFault


@dataclass(frozen=True)
class Module:
    """A kernel module: ``path`` of its file, the names it depends on (underscores throughout)."""

    name: str
    path: Path
    depends: tuple[str, ...]


def module_name(file_name: str) -> str:
    """``virtio-net.ko.xz`` -> ``virtio_net``."""
    return file_name.split(".ko", 1)[0].replace("-", "_")


def depends(data: bytes) -> tuple[str, ...]:
    """What a module's .modinfo says it depends on, soft dependencies (``pre:``) included."""
    names: list[str] = []
    for key in (b"\0depends=", b"\0softdep="):
        start = 0
        while (at := data.find(key, start)) >= 0:
            start = at + len(key)
            value = data[start : data.index(b"\0", start)].decode("ascii", "replace")
            if key == b"\0depends=":
                names += value.split(",")
            elif value.startswith("pre:"):
                names += value[4:].split(" post:")[0].split()
    return tuple(name.replace("-", "_") for name in names if name)


_SIGNED = b"~Module signature appended~\n"


def lean(data: bytes) -> bytes:
    """A module without what costs an emulated machine time at loading: its signature and type information.

    A signature is checked (a hash and RSA for each module), and with type information the first module
    makes the kernel parse the types of all of itself; nothing here uses either. A module without a
    signature is accepted where Secure Boot does not enforce it; one with a wrong signature never. The
    section .BTF keeps its place under a name that the kernel does not look for.
    """
    if data.endswith(_SIGNED):
        end = len(data) - len(_SIGNED)
        data = data[: end - 12 - int.from_bytes(data[end - 4 : end], "big")]
    return data.replace(b"\0.BTF\0", b"\0.xTF\0")


class ModuleTree:
    """The modules of one kernel release below ``tree``."""

    def __init__(self, tree: Path, unpack_zstd: Callable[[Path], bytes]) -> None:
        releases = sorted(path for path in (tree / "usr/lib/modules").glob("*") if (path / "kernel").is_dir())
        if len(releases) != 1:
            raise LabFault(f"expected the modules of one kernel, found {len(releases)}")
        self.folder = releases[0]
        self.release = releases[0].name
        self._files = {module_name(path.name): path for path in self.folder.rglob("*.ko*")}
        self._builtin = {
            module_name(line.rsplit("/", 1)[-1])
            for line in (self.folder / "modules.builtin").read_text().splitlines()
        }
        self._unpack_zstd = unpack_zstd

    def data(self, path: Path) -> bytes:
        """A module's bytes, uncompressed: the squashfs packs them better, and busybox cannot unpack."""
        if path.suffix == ".xz":
            return lzma.decompress(path.read_bytes())
        if path.suffix == ".zst":
            return self._unpack_zstd(path)
        return path.read_bytes()

    def closure(self, names: Iterable[str]) -> list[Module]:
        """The modules with all they depend on, each after what it needs. Built-in ones are left out,
        and so are names this kernel does not have: hardware support differs between distributions."""
        order: dict[str, Module] = {}

        def add(name: str) -> None:
            if name in order or name in self._builtin or name not in self._files:
                return
            path = self._files[name]
            module = Module(name, path, depends(self.data(path)))
            for inner in module.depends:
                add(inner)
            order[name] = module

        for name in names:
            add(name)
        return list(order.values())

    def require(self, names: Iterable[str]) -> None:
        """Raise LabFault when this kernel has one of these neither built in nor as a module."""
        if missing := [name for name in names if name not in self._files and name not in self._builtin]:
            raise LabFault(f"the kernel {self.release} lacks {', '.join(missing)}: LabPE could not start")
