# The deployed system, second stage: hardware, Windows Setup, then the client that SetupComplete.cmd names.
. /run/osdlab/common
load_hardware
mount_system
mark "the deployed system is ready"

# Windows Setup works once; its log is its mark (lab/guest/windows_setup.py). Python would take seconds to see it.
start=later
if [ ! -e /c/Windows/Panther/setupact.log ]; then
    start=first
    python3 -I -S /c/Windows/System32/osdlab/setup.zip || die "Windows Setup ended with $?"
fi
mark "Windows Setup is done"

# The hook that Setup Windows and ConfigMgr leaves: SetupComplete.cmd with /client:<folder of the client>.
SCRIPT=/c/Windows/Setup/Scripts/SetupComplete.cmd
client=
if [ -r $SCRIPT ]; then
    client=$(tr -d '\r"' < $SCRIPT | sed -n 's|.*/[Cc][Ll][Ii][Ee][Nn][Tt]:\([^ ]*\).*|\1|p' | head -n 1)
fi
if [ -z "$client" ]; then
    mark "no client hook is installed (\\Windows\\Setup\\Scripts\\SetupComplete.cmd has no /client:); nobody continues this machine"
    while :; do sleep 3600; done
fi

# The sequence's data may be on another volume than Windows, and have had another letter in PE.
folder=$(echo "$client" | sed -e 's|^[A-Za-z]:||' -e 's|\\|/|g' -e 's|^/*||')
data=/c
if [ ! -r "/c/$folder/client.zip" ]; then
    mkdir -p /run/osdlab/data
    while read -r _ _ _ name; do
        [ -b "/dev/$name" ] && ! grep -q "^/dev/$name /c " /proc/mounts || continue
        ntfs-3g -o ro "/dev/$name" /run/osdlab/data 2>/dev/null || continue
        [ -r "/run/osdlab/data/$folder/client.zip" ] && data=/run/osdlab/data && break
        umount /run/osdlab/data
    done < /proc/partitions
fi
folder=$data/$folder
if [ ! -r "$folder/client.zip" ]; then
    # Setup runs SetupComplete.cmd once (documented): later starts go on with a sequence, or with none.
    [ $start = first ] && die "the client hook names $client, which holds no client.zip"
    mark "no task sequence is going on; the system stays up"
    while :; do sleep 3600; done
fi
mkdir -p /osdlab
unzip -q -o "$folder/client.zip" -d /osdlab || die "$client\\client.zip cannot be unpacked"
chmod +x /osdlab/start
[ $data = /c ] || umount $data
/osdlab/start os
mark "the agent ended with $?"
finish
