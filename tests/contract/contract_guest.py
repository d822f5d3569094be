"""The guest of the hypervisor contract: 145 bytes in a boot sector, or the same as Python, in memory.

On each start it adds one to the count in the first byte of its second sector, says "contract guest, start
<n>" on the serial port, and does what the n-th byte after the count says: p power off, r reset, k echo the
keys pressed, anything else: nothing, for ever.
"""

from __future__ import annotations

from lab.hypervisor.memory import MemoryGuest

#: 16-bit code for 0x7C00. Ports: 0x3F8 serial, 0x604 q35's ACPI power control, 0xCF9 reset.
_CODE = (
    bytes.fromhex(
        "31c08ed88ec08ed0bc007c"  # ax, ds, es, ss = 0; sp = 0x7C00
        "bb007eb90200b600"  # bx = 0x7E00; cylinder 0, sector 2, head 0; the drive is still in dl
        "b80102cd13fe07b80103cd13"  # read one sector; inc byte [bx]; write it back
        "be7a7cac84c07405e83f00ebf6"  # print the message
        "8a070430e83600b00ae83100"  # print the count as a digit, and a new line
        "8a079889c68a00"  # al = [bx + count]
        "3c70740c3c7274113c6b7415fb"  # p, r, k?
        "f4ebfd"  # halt, for ever
        "ba0406b80020efebf4"  # power off: 0x2000 to port 0x604
        "baf90cb006eeebec"  # reset: 6 to port 0xCF9
        "31c0cd16e80200ebf7"  # wait for a key, print it, again
        "5250bafd03eca82074fb58baf803ee5ac3"  # put al: wait for the transmitter, write
    )
    + b"contract guest, start \0"
)


def boot_disk(script: bytes) -> bytes:
    """The first two sectors of the guest's disk."""
    return _CODE.ljust(510, b"\0") + b"\x55\xaa" + (b"\0" + script).ljust(512, b"\0")


def modelled(guest: MemoryGuest) -> None:
    """The same guest as a program for memory machines."""
    disk = guest.disks[0]
    if disk.read(510, 2) != b"\x55\xaa":
        return
    sector = bytearray(disk.read(512, 512))
    sector[0] += 1
    disk.write(512, bytes(sector))
    guest.write_console(b"contract guest, start %d\n" % sector[0])
    match chr(sector[sector[0]]):
        case "p":
            guest.power_off()
        case "r":
            guest.reset()
        case "k":
            guest.on_key = lambda key: guest.write_console(_echo(key))


def _echo(key: str) -> bytes:
    *held, last = (part.removeprefix("KEY_") for part in key.split("+"))
    return (last if held == ["LEFTSHIFT"] else last.lower()).encode()
