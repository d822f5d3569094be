#!/bin/sh
# LabPE, first stage: from the initrd into the root file system.
. /stages/common
mount_basics
mark "LabPE kernel is up"
insert_modules early
open_root /root.squashfs
[ -x /osdlab/start ] || die "the boot image has no agent"
cp -a /osdlab /new/
enter_root stage-pe
