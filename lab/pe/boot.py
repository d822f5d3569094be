"""Put boot images together: initrds and unified kernel images for LabPE and for the deployed system."""

from __future__ import annotations

from pathlib import Path

from lab.pe.bundle import Bundle
from lab.pe.cpio import Cpio
from lab.pe.elf import with_libraries
from lab.pe.recipe import Recipe
from lab.pe.rootfs import Rootfs
from lab.pe.uki import unified_image

_HERE = Path(__file__).resolve().parent

#: The scripts by their place in an initrd.
PE_SCRIPTS = {"init": "init-pe.sh", "stages/common": "init-common.sh", "stages/stage-pe": "stage-pe.sh"}
OS_SCRIPTS = {"init": "init-os.sh", "stages/common": "init-common.sh", "stages/stage-os": "stage-os.sh"}
#: What the first stages call.
_APPLETS = (
    "sh", "awk", "cat", "cp", "cut", "dd", "insmod", "mkdir", "mount", "poweroff", "sleep", "switch_root",
    "sync", "umount", "usleep",
)  # fmt: skip


def script_bytes() -> bytes:
    """All scripts, for cache keys."""
    names = sorted({*PE_SCRIPTS.values(), *OS_SCRIPTS.values()})
    return b"\0".join((_HERE / name).read_bytes() for name in names)


def pe_initrd(rootfs: Rootfs, recipe: Recipe, bundle: Bundle) -> bytes:
    """LabPE's initrd: a base archive with the root file system, and one with the agent."""
    base = _base(rootfs, PE_SCRIPTS, {"early": recipe.initrd_modules})
    base.file("root.squashfs", rootfs.squashfs.read_bytes())
    agent = Cpio()
    agent.file("osdlab/start", bundle.start, executable=True)
    agent.file("osdlab/agent.zip", bundle.agent)
    return base.pack() + agent.pack()


def os_initrd(rootfs: Rootfs, recipe: Recipe) -> bytes:
    """The deployed system's initrd: disk drivers and ntfs-3g, no root file system."""
    archive = _base(rootfs, OS_SCRIPTS, {"early": recipe.initrd_modules, "disks": recipe.loader_modules})
    tree = rootfs.tree.root
    programs = [tree / "usr/bin/ntfs-3g", tree / "usr/lib64/ld-linux-x86-64.so.2"]
    for path in sorted(with_libraries(tree, programs)):
        name = str(path.relative_to(tree))
        if path.is_symlink():
            archive.link(name, str(path.readlink()))
        else:
            archive.file(name, path.read_bytes(), executable=True)
    for name in ("lib", "lib64"):
        archive.link(name, f"usr/{name}")
    return archive.pack()


def unified(rootfs: Rootfs, recipe: Recipe, initrd: bytes, *, title: str) -> bytes:
    """A UEFI executable of the kernel with this initrd."""
    release = f'NAME="{title}"\nID=osdlab\nPRETTY_NAME="{title}"\nVERSION_ID={rootfs.release}\n'
    return unified_image(
        rootfs.stub.read_bytes(),
        {
            ".osrel": release.encode() + b"\0",
            ".cmdline": recipe.command_line.encode() + b"\0",
            ".initrd": initrd,
            ".linux": rootfs.kernel.read_bytes(),
        },
    )


def bios_configuration(recipe: Recipe) -> bytes:
    """SYSLINUX's configuration that starts the deployed system from the active partition.

    The files are where lab/guest/bios.py puts them; it adds labpe.conf for a staged boot image, and an
    included file that is not there does no harm.
    """
    return (
        "SERIAL 0 115200\nDEFAULT windows\nPROMPT 0\n"
        "LABEL windows\n  KERNEL /bootmgr\n  INITRD /Boot/bootmgr.img\n"
        f"  APPEND {recipe.command_line}\n"
        "INCLUDE labpe.conf\n"
    ).encode()


def _base(rootfs: Rootfs, scripts: dict[str, str], lists: dict[str, tuple[str, ...]]) -> Cpio:
    archive = Cpio()
    for folder in ("proc", "sys", "dev", "run", "tmp", "new"):
        archive.folder(folder)
    # Without these two an initrd's init says nothing.
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3, mode=0o666)
    archive.file("bin/busybox", (rootfs.tree.root / "usr/bin/busybox").read_bytes(), executable=True)
    for applet in _APPLETS:
        archive.link(f"bin/{applet}", "busybox")
    for place, name in scripts.items():
        archive.file(place, (_HERE / name).read_bytes(), executable=True)
    loaded: set[str] = set()
    modules = rootfs.modules
    for name, wanted in lists.items():
        chosen = [module for module in modules.closure(wanted) if module.name not in loaded]
        loaded.update(module.name for module in chosen)
        for module in chosen:
            archive.file(f"modules/{module.name}.ko", module.path.read_bytes())
        archive.file(f"modules/{name}", "".join(f"{module.name}\n" for module in chosen).encode())
    return archive
