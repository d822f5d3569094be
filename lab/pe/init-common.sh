# What both starters, LabPE's and the deployed system's, share. Runs in busybox ash; sourced.
# Never a panic and never a shell: whatever fails is said, and the machine is powered off.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

uptime_now() { cut -d ' ' -f 1 /proc/uptime; }

mark() { echo "osdlab: $(uptime_now) $*"; }

die() {
    echo "osdlab: LAB FAULT: $*"
    echo "osdlab: powering off"
    sync
    poweroff -f
    while :; do sleep 60; done
}

mount_basics() {
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev || die "no devtmpfs"
    mkdir -p /dev/pts /run /tmp
    mount -t devpts devpts /dev/pts
    mount -t tmpfs -o mode=755 run /run
}

# The initrd's own modules, in the order of the list that the builder wrote.
insert_modules() {
    while read -r module; do
        insmod "/modules/$module.ko" 2>/dev/null || echo "osdlab: no $module here"
    done < "/modules/$1"
}

# open_root SQUASHFS: a writable root at /new, its changes in RAM.
open_root() {
    mkdir -p /run/lower /run/upper /new
    mount -t squashfs -o ro,loop "$1" /run/lower || die "cannot mount the root file system $1"
    mount -t tmpfs -o mode=755 upper /run/upper
    mkdir -p /run/upper/changes /run/upper/work
    mount -t overlay -o lowerdir=/run/lower,upperdir=/run/upper/changes,workdir=/run/upper/work root /new \
        || die "cannot put a writable layer over the root file system"
}

# enter_root STAGE: go on in the new root with the script /stages/STAGE, all from RAM.
enter_root() {
    mkdir -p /run/osdlab
    cp /bin/busybox /stages/common /stages/"$1" /run/osdlab/
    for place in proc sys dev run; do mount --move /$place /new/$place; done
    exec switch_root -c /dev/console /new /run/osdlab/busybox sh "/run/osdlab/$1"
}

# Load what the hardware asks for by its aliases; buses behind buses need a second look.
load_hardware() {
    cat /sys/bus/pci/devices/*/modalias /sys/bus/acpi/devices/*/modalias 2>/dev/null \
        | sort -u | xargs /usr/sbin/modprobe -a -q -b 2>/dev/null
    cat /sys/bus/virtio/devices/*/modalias /sys/bus/vmbus/devices/*/modalias \
        /sys/bus/scsi/devices/*/modalias /sys/bus/usb/devices/*/modalias 2>/dev/null \
        | sort -u | xargs /usr/sbin/modprobe -a -q -b 2>/dev/null
}

mount_system() {
    mount -t tmpfs tmp /tmp
    ip link set lo up
    /usr/sbin/modprobe -a -q fuse vfat nls_cp437 nls_ascii nls_utf8 efivarfs af_packet
    [ -d /sys/firmware/efi ] && mount -t efivarfs efivarfs /sys/firmware/efi/efivars
    hostname -F /etc/hostname
    # Channels by name, as udev would link them.
    mkdir -p /dev/virtio-ports
    for port in /sys/class/virtio-ports/*; do
        [ -r "$port/name" ] && ln -sf "../${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
    done
}

# finish: after the agent ended. It may have left "restart" in /run/osdlab/leave; otherwise power off.
finish() {
    leave=power-off
    [ -r /run/osdlab/leave ] && leave=$(cat /run/osdlab/leave)
    mark "leaving: $leave"
    sync
    if [ -d /c ] && grep -q ' /c ' /proc/mounts; then
        umount /c || umount -l /c
    fi
    sync
    case $leave in
        restart) reboot -f ;;
        *) poweroff -f ;;
    esac
    while :; do sleep 60; done
}
