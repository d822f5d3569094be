"""What the rest of the lab asks of this room: boot images, reference image, client package, from the cache.

Everything is built once per content: the key of an entry covers the packages, the recipe, the scripts, the
agent's sources and the builder's own sources. Two processes may ask at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.pe import boot, reference
from lab.pe import bundle as bundles
from lab.pe.archive import Archive, GoneError
from lab.pe.bundle import Bundle
from lab.pe.programs import need_tools
from lab.pe.recipe import FOLDER, Package, Recipe, digest, format_lock, parse_lock, read_recipe
from lab.pe.rootfs import Rootfs, build_rootfs
from lab.pe.store import Store

Say = Callable[[str], None]

_HERE = Path(__file__).resolve().parent
#: Sources that shape the root file system, and those that shape the images made of it.
_ROOT_SOURCES = ("elf.py", "modules.py", "programs.py", "rootfs.py", "unpack.py")
_BOOT_SOURCES = ("boot.py", "bundle.py", "cpio.py", "uki.py")
_REFERENCE_SOURCES = (*_BOOT_SOURCES, "reference.py", "regf.py", "windows_shape.py")


@dataclass(frozen=True)
class BootImages:
    """LabPE, built. ``package``: folder that is the boot image's package (the UEFI executable alone);
    ``vmlinuz`` and ``initrd``: the same system in two files, for BIOS; ``pxelinux``: PXELINUX and its
    module, which fetch these two without iPXE; ``size`` of ``efi`` in bytes."""

    efi: Path
    package: Path
    vmlinuz: Path
    initrd: Path
    pxelinux: tuple[Path, ...]
    command_line: str
    version: str
    size: int


@dataclass(frozen=True)
class Sources:
    """Where things come from; tests give others. ``package``: the folder of ``lab``."""

    recipe: Path = FOLDER / "recipe.toml"
    lock: Path = FOLDER / "packages.lock"
    package: Path = _HERE.parent


def ensure_pe(cache: Path, say: Say = print, sources: Sources | None = None) -> BootImages:
    """LabPE for x64. Builds what is missing, saying what it does. Raises LabFault (hint: what to do)."""
    sources = sources or Sources()
    store, recipe, root, bundle, key = _parts(cache, say, sources)
    key = digest(key, _source_bytes(_BOOT_SOURCES), boot.script_bytes())

    def build(folder: Path) -> None:
        say("putting LabPE together")
        initrd = boot.pe_initrd(root, recipe, bundle)
        package = folder / "package"
        package.mkdir()
        (package / "labpe-x64.efi").write_bytes(boot.unified(root, recipe, initrd, title="LabPE x64"))
        (folder / "initrd").write_bytes(initrd)
        (folder / "vmlinuz").write_bytes(root.kernel.read_bytes())

    folder = store.entry("boot", key, build)
    efi = folder / "package" / "labpe-x64.efi"
    return BootImages(
        efi=efi, package=efi.parent, vmlinuz=folder / "vmlinuz", initrd=folder / "initrd",
        pxelinux=root.pxelinux,
        command_line=recipe.command_line, version=key[:12], size=efi.stat().st_size,
    )  # fmt: skip


def ensure_reference_image(cache: Path, say: Say = print, sources: Sources | None = None) -> Path:
    """The reference image, a WIM file with one image. Raises LabFault."""
    sources = sources or Sources()
    store, recipe, root, bundle, key = _parts(cache, say, sources)
    key = digest(key, _source_bytes(_REFERENCE_SOURCES), boot.script_bytes())

    def build(folder: Path) -> None:
        say("building the reference image")
        initrd = boot.os_initrd(root, recipe)
        artifacts = {
            "loader": boot.unified(root, recipe, initrd, title="osdlab reference system"),
            "bios-kernel": root.kernel.read_bytes(),
            "bios-initrd": initrd,
            "bios-config": boot.bios_configuration(recipe),
            "root": root.squashfs.read_bytes(),
            "setup": bundle.setup,
            **reference.hives(),
        }
        with store.scratch() as staging:
            reference.build_wim(root.tree, artifacts, staging, folder / "reference.wim")

    return store.entry("reference", key, build) / "reference.wim"


def client_package(cache: Path, say: Say = print, sources: Sources | None = None) -> Path:
    """``client.zip``, the one file of the ConfigMgr client's package. Raises LabFault."""
    sources = sources or Sources()
    store, _, _, bundle, key = _parts(cache, say, sources)

    def build(folder: Path) -> None:
        (folder / "client.zip").write_bytes(bundle.client())

    return store.entry("client", digest(key, _source_bytes(_BOOT_SOURCES)), build) / "client.zip"


def refresh_lock(cache: Path, say: Say = print, sources: Sources | None = None) -> tuple[Package, ...]:
    """Write the lock anew from what the archive has now. For the project's own developers."""
    sources = sources or Sources()
    need_tools()
    archive = Archive(cache / "pe" / "archive", say)
    archive.refresh()
    packages = archive.resolve(read_recipe(sources.recipe))
    sources.lock.write_text(format_lock(packages))
    say(f"{sources.lock} now has {len(packages)} packages")
    return packages


def _parts(cache: Path, say: Say, sources: Sources) -> tuple[Store, Recipe, Rootfs, Bundle, str]:
    """What every image is made of, and the content key of all of it together."""
    store = Store(cache / "pe", say)
    recipe = read_recipe(sources.recipe)
    root, root_key = _ensure_rootfs(store, recipe, say, sources)
    code = bundles.read_sources(sources.package)
    key = digest(root_key, *(part for name, data in sorted(code.items()) for part in (name, data)))

    def build(folder: Path) -> None:
        bundle = bundles.build_bundle(code, root.tree, folder)
        (folder / "start").write_bytes(bundle.start)
        (folder / "agent.zip").write_bytes(bundle.agent)
        (folder / "setup.zip").write_bytes(bundle.setup)

    folder = store.entry("bundle", digest(key, _source_bytes(_BOOT_SOURCES)), build)
    bundle = Bundle(*((folder / name).read_bytes() for name in ("start", "agent.zip", "setup.zip")))
    return store, recipe, root, bundle, key


def _ensure_rootfs(store: Store, recipe: Recipe, say: Say, sources: Sources) -> tuple[Rootfs, str]:
    def key_of(packages: tuple[Package, ...]) -> str:
        return digest(format_lock(packages), recipe.source, _source_bytes(_ROOT_SOURCES))

    def have(packages: tuple[Package, ...]) -> bool:
        return store.has("root", key_of(packages))

    packages = effective_packages(store, recipe, say, sources, built=have)

    def build(folder: Path) -> None:
        need_tools()
        build_rootfs(folder, recipe, Archive(store.root / "archive", say).fetch(packages), say)

    key = key_of(packages)
    return Rootfs(store.entry("root", key, build)), key


def effective_packages(
    store: Store,
    recipe: Recipe,
    say: Say,
    sources: Sources,
    *,
    built: Callable[[tuple[Package, ...]], bool] = lambda packages: False,
) -> tuple[Package, ...]:
    """The packages to build from, fetched: the locked ones, or what the archive has in their place.

    What was taken in their place is recorded beside the cache and stays until the lock or the recipe
    changes. Nothing is fetched for packages that are ``built`` already.
    """
    locked = parse_lock(sources.lock.read_text(), str(sources.lock))
    taken_file = store.root / f"packages.taken-{digest(recipe.source, format_lock(locked))[:12]}"
    with store.locked("packages"):
        chosen = parse_lock(taken_file.read_text(), str(taken_file)) if taken_file.is_file() else locked
        if built(chosen):
            return chosen
        need_tools()
        try:
            Archive(store.root / "archive", say).fetch(chosen)
            return chosen
        except GoneError as gone:
            say(f"{gone.message}; asking for what it has now")
        taken = _take_current(store, recipe, locked, say)
        if taken != locked:
            note = "taken in place of the lock, which the archive no longer has"
            taken_file.write_text(format_lock(taken, note=note))
            say(f"what was taken in place of the lock is in {taken_file}")
        return taken


def _take_current(store: Store, recipe: Recipe, locked: tuple[Package, ...], say: Say) -> tuple[Package, ...]:
    """What to build from when the lock cannot be had: the lock after all, by fresh lists, or what is now."""
    archive = Archive(store.root / "archive", say)
    archive.refresh()
    try:
        archive.fetch(locked)
        return locked
    except GoneError:
        packages = archive.resolve(recipe)
        archive.fetch(packages)
        return packages


def _source_bytes(names: tuple[str, ...]) -> bytes:
    return b"\0".join((_HERE / name).read_bytes() for name in names)


__all__ = ["BootImages", "Sources", "client_package", "ensure_pe", "ensure_reference_image", "refresh_lock"]
