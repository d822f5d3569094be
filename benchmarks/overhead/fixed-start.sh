#!/bin/sh
# The bare counterpart of the agent: the disk work of scenarios/bare-metal.yaml as a fixed script, nothing else.
# Also udhcpc's script.
case "$1" in
bound) ip addr add "$ip/24" dev "$interface"; exit 0 ;;
pe | os) ;;
*) exit 0 ;;
esac

set -e
trap 'echo "bare: failed"; poweroff -f' EXIT

network() {
    ip link set eth0 up
    udhcpc -i eth0 -s "$0" -f -q -n -S -t 10 -T 1 -A 1 >/dev/null 2>&1
}
mount_c() { mkdir -p /c; ntfs-3g -o big_writes,windows_names /dev/vda3 /c; }
set_values() { printf 'cd \\Setup\nsetval 2\nSetupType\nhex:4:00000000\nCmdLine\nhex:1:0000\ncommit\n' | hivexsh -w "$1"; }

if [ "$1" = os ]; then
    set_values /c/Windows/System32/config/SYSTEM
    if [ ! -e /c/bare-second ]; then
        echo second > /c/bare-second
        sync; umount /c; trap - EXIT; reboot -f
        while :; do sleep 60; done
    fi
    echo complete > /c/lab-end.txt
    sync; umount /c
    trap - EXIT
    echo "bare: done"
    poweroff -f
fi

network
dd if=/dev/zero of=/dev/vda bs=1M count=1 2>/dev/null
sgdisk @SGDISK@ /dev/vda >/dev/null
mkfs.fat -F 32 -n SYSTEM /dev/vda1 >/dev/null
mkntfs -q -Q -L Windows /dev/vda3
mkntfs -q -Q -L Recovery /dev/vda4
mount_c
mkdir -p /c/_SMSTaskSequence/Packages/LAB00001
wget -q -O /c/_SMSTaskSequence/Packages/LAB00001/reference.wim http://10.77.0.1/reference.wim
sha256sum /c/_SMSTaskSequence/Packages/LAB00001/reference.wim >/dev/null
cp /c/_SMSTaskSequence/Packages/LAB00001/reference.wim /tmp/reference.wim
umount /c
wimlib-imagex apply /tmp/reference.wim 1 /dev/vda3 >/dev/null
rm /tmp/reference.wim
mount_c
mkdir -p /esp && mount -t vfat /dev/vda1 /esp
mkdir -p /esp/EFI/Microsoft/Boot /esp/EFI/Boot
cp /c/Windows/Boot/EFI/bootmgfw.efi /esp/EFI/Microsoft/Boot/bootmgfw.efi
cp /c/Windows/Boot/EFI/bootmgfw.efi /esp/EFI/Boot/bootx64.efi
umount /esp
mkdir -p /c/Windows/Panther/unattend /c/Windows/Setup/Scripts /c/_SMSTaskSequence/OSD/LAB00003
cat > /c/Windows/Panther/unattend/unattend.xml <<'XML'
<unattend xmlns="urn:schemas-microsoft-com:unattend"><settings pass="specialize"><component
name="Microsoft-Windows-Shell-Setup"><ComputerName>LAB-PC1</ComputerName></component></settings></unattend>
XML
wget -q -O /c/_SMSTaskSequence/OSD/LAB00003/client.zip http://10.77.0.1/client.zip
echo 'osdsetuphook.exe /execute /client:C:\_SMSTaskSequence\OSD\LAB00003' > /c/Windows/Setup/Scripts/SetupComplete.cmd
set_values /c/Windows/System32/config/SYSTEM
sync; umount /c
trap - EXIT
reboot -f
