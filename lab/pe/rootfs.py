"""Build what LabPE and the deployed system run from: a pruned tree of Debian packages as a squashfs.

No root, no package scripts, no chroot. From one lock the bytes are the same each time and on each host:
everything that shapes them (mksquashfs, depmod, the Python compiler) comes from the locked packages.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabFault
from lab.pe.elf import constant_segments, walk_files, with_libraries
from lab.pe.modules import ModuleTree, lean
from lab.pe.programs import PackageTree, run
from lab.pe.recipe import Package, Recipe
from lab.pe.unpack import unpack

_INDISPENSABLE = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "fuse")

#: The character sets that hivex (names and text in hives) and mkfs.fat (labels) ask for, and the files they
#: are in; the distribution's list of all of them is slow to read.
_CHARACTER_SETS = (
    ("ISO-8859-1", "ISO8859-1"), ("IBM850", "IBM850"),
    ("UTF-16", "UTF-16"), ("UTF-16LE", "UTF-16"), ("UTF-16BE", "UTF-16"),
)  # fmt: skip
_ALIASES = (("LATIN1", "ISO-8859-1"), ("ISO8859-1", "ISO-8859-1"), ("CP850", "IBM850"), ("850", "IBM850"))

_FILES = {
    "etc/hostname": "labpe\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/shells": "/bin/sh\n",
    "usr/lib/x86_64-linux-gnu/gconv/gconv-modules": "".join(
        [f"alias {alias}// {name}//\n" for alias, name in _ALIASES]
        + [f"module {name}// INTERNAL {file} 1\n" for name, file in _CHARACTER_SETS]
        + [f"module INTERNAL {name}// {file} 1\n" for name, file in _CHARACTER_SETS]
    ),
}
_FOLDERS = ("proc", "sys", "dev", "run", "tmp", "mnt", "root", "etc", "var", "c")


@dataclass(frozen=True)
class Rootfs:
    """A built root file system. ``folder`` holds root.squashfs, vmlinuz, stub.efi, PXELINUX and the trees."""

    folder: Path

    @property
    def squashfs(self) -> Path:
        return self.folder / "root.squashfs"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def stub(self) -> Path:
        return self.folder / "stub.efi"

    @property
    def pxelinux(self) -> tuple[Path, ...]:
        """PXELINUX and the module that it loads first."""
        return self.folder / "pxelinux.0", self.folder / "ldlinux.c32"

    @property
    def tree(self) -> PackageTree:
        return PackageTree(self.folder / "root")

    @property
    def modules(self) -> ModuleTree:
        return ModuleTree(self.folder / "root", _no_zstd)

    @property
    def release(self) -> str:
        return self.modules.release


def build_rootfs(
    folder: Path, recipe: Recipe, debs: Mapping[Package, Path], say: Callable[[str], None]
) -> None:
    """Fill ``folder`` (empty) with a Rootfs from package files."""
    everything, root = folder / "all", folder / "root"
    say(f"unpacking {len(debs)} packages")
    for package in sorted(debs):
        unpack(debs[package], everything, wanted=_worth_unpacking)
    whole = PackageTree(everything)
    _keep_chosen(everything, root, recipe)
    _keep_modules(everything, root, recipe, whole)
    _starters(everything, folder)
    _furnish(root, whole)
    blank_icu_data(root)
    _compile_python(root, whole)
    say("packing the root file system")
    _pack(root, folder / "root.squashfs", whole)
    for path in everything.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    everything.rmdir()


def _worth_unpacking(name: str) -> bool:
    return not name.startswith(("usr/share/", "etc/", "var/", "usr/include/", "usr/src/"))


def _keep_chosen(everything: Path, root: Path, recipe: Recipe) -> None:
    patterns = (part for pattern in recipe.keep for part in (pattern, pattern + "/*"))
    keep = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))
    drop = re.compile("|".join(fnmatch.translate(pattern) for pattern in recipe.drop))
    chosen = []
    for path in walk_files(everything):
        name = str(path.relative_to(everything))
        if not name.startswith(("usr/lib/modules/", "boot/")) and keep.match(name) and not drop.match(name):
            chosen.append(path)
    for path in with_libraries(everything, chosen):
        place = root / path.relative_to(everything)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place, follow_symlinks=False)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")


def _keep_modules(everything: Path, root: Path, recipe: Recipe, whole: PackageTree) -> None:
    def unpack_zstd(path: Path) -> bytes:
        plain = path.with_suffix("")
        if not plain.exists():
            whole.run("usr/bin/zstd", "-q", "-d", path, "-o", plain, what="unpacking kernel modules")
        return plain.read_bytes()

    modules = ModuleTree(everything, unpack_zstd)
    modules.require((*recipe.initrd_modules, *_INDISPENSABLE))
    target = root / "usr/lib/modules" / modules.release
    for module in modules.closure((*recipe.initrd_modules, *recipe.loader_modules, *recipe.image_modules)):
        plain = module.path.name.split(".ko")[0] + ".ko"
        place = (target / module.path.relative_to(modules.folder)).with_name(plain)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(lean(modules.data(module.path)))
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(modules.folder / name, target / name)
    whole.run("usr/bin/kmod", "-b", root, modules.release, called="depmod", what="listing kernel modules")
    # Only what modprobe reads; the text forms serve other programs.
    for path in target.glob("modules.*"):
        if path.name not in (
            "modules.dep.bin",
            "modules.alias.bin",
            "modules.softdep",
            "modules.builtin",
            "modules.builtin.bin",
            "modules.builtin.alias.bin",
            "modules.symbols.bin",
        ):
            path.unlink()


def _starters(everything: Path, folder: Path) -> None:
    """What starts the system and is no part of it: kernel, EFI stub, PXELINUX."""
    kernels = sorted((everything / "boot").glob("vmlinuz-*"))
    found = {
        "vmlinuz": kernels[0] if len(kernels) == 1 else everything / "boot/vmlinuz",
        "stub.efi": everything / "usr/lib/systemd/boot/efi/linuxx64.efi.stub",
        "pxelinux.0": everything / "usr/lib/PXELINUX/lpxelinux.0",
        "ldlinux.c32": everything / "usr/lib/syslinux/modules/bios/ldlinux.c32",
    }
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        raise LabFault(
            f"the packages of LabPE lack {', '.join(missing)}", hint="see vm-templates/labpe/recipe.toml"
        )
    for name, path in found.items():
        shutil.copy(path, folder / name)


def _furnish(root: Path, whole: PackageTree) -> None:
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in _FILES.items():
        (root / name).write_text(text)
    (root / "etc/mtab").symlink_to("/proc/self/mounts")
    # A static program: it runs here as it is.
    for applet in run([whole.root / "usr/bin/busybox", "--list"], what="listing busybox").split():
        if not any(
            (root / "usr" / folder / applet).is_symlink() or (root / "usr" / folder / applet).exists()
            for folder in ("bin", "sbin")
        ):
            (root / "usr/bin" / applet).symlink_to("busybox")


def blank_icu_data(root: Path) -> int:
    """Blank the data of ICU (30 MB), leaving the library loadable; gives the bytes blanked.

    libxml2 asks ICU only for encodings that it does not know itself, and a WIM's XML is UTF-16, which it
    does. Without its data ICU says that it has no such converter. Newer wimlib does without both.
    """
    blanked = 0
    for path in (root / "usr/lib/x86_64-linux-gnu").glob("libicudata.so.*.*"):
        data = bytearray(path.read_bytes())
        for start, size in constant_segments(bytes(data)):
            if size > 1 << 20:
                data[start : start + size] = bytes(size)
                blanked += size
        path.write_bytes(data)
    return blanked


def _compile_python(root: Path, whole: PackageTree) -> None:
    """Leave only compiled modules: quicker to find and to load, and smaller."""
    library = next(path for path in sorted((root / "usr/lib").glob("python3.*")) if path.is_dir())
    program = (
        "import compileall, sys, py_compile\n"
        "ok = compileall.compile_dir(sys.argv[1], quiet=1, force=True, legacy=True, stripdir=sys.argv[2],\n"
        "    prependdir='/', invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)\n"
        "sys.exit(not ok)\n"
    )
    whole.run(whole.python(), "-S", "-B", "-c", program, library, root, what="compiling the Python library")
    for path in library.rglob("*.py"):
        if path.with_suffix(".pyc").exists():
            path.unlink()
    for path in library.rglob("__pycache__"):
        shutil.rmtree(path)


def _pack(root: Path, squashfs: Path, whole: PackageTree) -> None:
    for path in (root, *root.rglob("*")):
        # Whatever umask the builder runs with.
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    whole.run(
        "usr/bin/mksquashfs", root, squashfs,
        "-noappend", "-no-progress", "-quiet", "-all-root", "-no-xattrs", "-all-time", "0", "-mkfs-time", "0",
        "-comp", "zstd", "-Xcompression-level", "19", "-b", "128K", "-no-exports",
        what="packing the root file system",
    )  # fmt: skip


def _no_zstd(path: Path) -> bytes:
    raise LabFault(f"{path.name} should have been uncompressed")
