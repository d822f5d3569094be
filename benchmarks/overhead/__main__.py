"""Five interleaved pairs of `osdlab run` and the bare script, and the median of their ratios."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab.guest.gpt import sgdisk_arguments
from lab.hypervisor.firmware import find_firmware
from lab.network import dnsmasq
from lab.network.ipxe import boot_uefi
from lab.pe.images import Sources, client_package, ensure_pe, ensure_reference_image
from lab.sequence.effects import Partition
from lab.settings import Settings

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCENARIO = ROOT / "scenarios" / "bare-metal.yaml"
#: Arguments of libvirt's command line that only make sense with libvirt at the other end, with their value.
DROPPED = ("-mon", "-add-fd")


def lab_run(reports: Path) -> tuple[float, list[str]]:
    """Seconds of one `osdlab run`, and the QEMU command line that was seen while it ran."""
    environment = {**os.environ, "OSDLAB_REPORTS": str(reports)}
    command: list[str | Path] = [Path(sys.executable).parent / "osdlab", "run", SCENARIO]
    begin = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    seen: list[str] = []
    while process.poll() is None:
        if not seen:
            seen = qemu_below(reports)
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    seconds = time.monotonic() - begin
    if process.returncode or not seen:
        assert process.stdout is not None
        sys.exit(f"the lab's run did not pass, so nothing can be compared:\n{process.stdout.read()}")
    return seconds, seen


def qemu_below(reports: Path) -> list[str]:
    """The command line of the QEMU whose files lie below ``reports``."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").split("\0")[:-1]
        except OSError:
            continue
        if words and "qemu-system" in words[0] and any(str(reports) in word for word in words):
            return words
    return []


def bare_arguments(words: list[str], folder: Path) -> list[str]:
    """libvirt's command line without libvirt: its file descriptors become files of ``folder``."""
    result: list[str] = []
    pairs = iter(words[1:])
    for word in pairs:
        if word in ("-S", "-no-shutdown"):
            continue
        value = next(pairs) if not word.startswith(("-no-user-config", "-nodefaults")) else ""
        if word in DROPPED or "masterKey0" in value or value.startswith("socket,id=charmonitor"):
            continue
        if word == "-netdev":
            value = "tap,id=hostnet0,ifname=tap0,script=no,downscript=no"
        elif value.startswith("file,id=charserial0"):
            value = f"file,id=charserial0,path={folder}/console.log"
        elif value.startswith("socket,id=charchannel0"):
            value = f"file,id=charchannel0,path={folder}/channel.log"
        elif word == "-blockdev":
            data = json.loads(value)
            if data.get("driver") == "file" and Path(data["filename"]).name in ("nvram.fd", "disk0.qcow2"):
                data["filename"] = str(folder / Path(data["filename"]).name)
            value = json.dumps(data)
        result += [word, value] if value else [word]
    return [words[0], *result]


def lay_out(folder: Path, reports: Path, settings: Settings, words: list[str]) -> None:
    """What the bare script finds: boot files with the fixed init, content, dnsmasq's configuration."""
    state = json.loads((reports / "latest" / "PC-1" / "final-state.json").read_text())
    table = tuple(
        Partition(number=part["number"], type=part["type"], start=part["start"], sectors=part["sectors"])
        for part in state["disks"][0]["partitions"]
    )
    package = folder / "source" / "lab"
    shutil.copytree(ROOT / "lab", package, ignore=shutil.ignore_patterns("__pycache__"))
    script = (HERE / "fixed-start.sh").read_text().replace("@SGDISK@", shlex.join(sgdisk_arguments(table)))
    (package / "guest" / "start.sh").write_text(script)
    sources = Sources(package=package)
    www, tftp = folder / "www", folder / "tftp"
    (www / "boot").mkdir(parents=True)
    tftp.mkdir()
    shutil.copy(ensure_pe(settings.cache, print, sources).efi, www / "boot" / dnsmasq.BOOT_FILE)
    shutil.copy(client_package(settings.cache, print, sources), www / "client.zip")
    shutil.copy(ensure_reference_image(settings.cache, print), www / "reference.wim")
    (tftp / dnsmasq.script_name(7)).write_text(boot_uefi(dnsmasq.BOOT_FILE))
    mac = next(json.loads(word)["mac"] for word in words if '"virtio-net-pci"' in word)
    host = dnsmasq.Host("PC-1", mac, dnsmasq.host_address(0))
    (folder / "dnsmasq.conf").write_text(
        dnsmasq.configuration([host], tftp_root=tftp, lease_file=folder / "leases")
    )
    (folder / "PYTHON").symlink_to(sys.executable)
    (folder / "qemu.args").write_text("\n".join(bare_arguments(words, folder)) + "\n")


def bare_run(folder: Path) -> float:
    """Seconds of one run of the bare script, on a new disk."""
    for name in ("console.log", "leases"):
        (folder / name).unlink(missing_ok=True)
    begin = time.monotonic()
    shutil.copy(find_firmware(False).variables, folder / "nvram.fd")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / "disk0.qcow2", "20G"], check=True)
    namespaces = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    done = subprocess.run([*namespaces, HERE / "bare.sh", folder], check=False)
    seconds = time.monotonic() - begin
    if done.returncode:
        logs = "console.log, qemu.log and dnsmasq.log"
        sys.exit(f"the bare script failed ({done.returncode}); see {logs} in {folder}")
    return seconds


def main() -> None:
    if os.geteuid():
        sys.exit("the bare script makes its namespaces as root: run this as root")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    settings = Settings.from_environment()
    with tempfile.TemporaryDirectory(prefix="osdlab-overhead-") as name:
        folder, reports = Path(name, "bare"), Path(name, "reports")
        folder.mkdir()
        _, words = lab_run(reports)  # warms every cache, and shows the command line
        lay_out(folder, reports, settings, words)
        ratios = []
        print("pair      lab     bare    ratio")
        for number in range(1, count + 1):
            bare = bare_run(folder)
            lab, _ = lab_run(reports)
            ratios.append(lab / bare)
            print(f"{number:4} {lab:7.1f}s {bare:7.1f}s   {lab / bare:.3f}", flush=True)
        print(f"median of {count} ratios: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
