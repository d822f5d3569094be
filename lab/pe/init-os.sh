#!/bin/sh
# The deployed system, first stage: find the NTFS volume that holds Windows, take the root file system from it.
. /stages/common

TREE=Windows/System32/osdlab

mount_basics
mark "the deployed system's kernel is up"
insert_modules early
insert_modules disks

# find_windows: mount the NTFS volume that holds the system at /c. Disks show up a moment after their driver.
find_windows() {
    mkdir -p /c
    for device in $(awk 'NR > 2 && $4 !~ /^(loop|ram|sr|fd)/ { print "/dev/" $4 }' /proc/partitions); do
        [ "$(dd if="$device" bs=1 skip=3 count=4 2>/dev/null)" = NTFS ] || continue
        ntfs-3g -o "$NTFS_OPTIONS" "$device" /c || continue
        [ -r /c/$TREE/root.squashfs ] && return 0
        umount /c
    done
    return 1
}

NTFS_OPTIONS=windows_names,streams_interface=none,big_writes,noatime
tries=0
until find_windows; do
    tries=$((tries + 1))
    [ $tries -ge 50 ] && die "no NTFS volume holds \\$TREE\\root.squashfs"
    usleep 200000
done
mark "Windows found on $(awk '$2 == "/c" { print $1 }' /proc/mounts)"

# Into RAM: 20 MB read once are quicker than a loop through FUSE, and /c can then be unmounted cleanly.
mkdir -p /image
cp /c/$TREE/root.squashfs /image/ || die "the root file system cannot be read from the disk"
open_root /image/root.squashfs
mount --move /c /new/c
enter_root stage-os
