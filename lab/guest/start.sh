#!/bin/sh
# Starts the agent: /osdlab/start pe|os. Also udhcpc's script: it calls this file with bound, renew, deconfig.
# The lease comes while Python starts; the agent waits for it when it needs the network.
lease=/run/osdlab/lease

case "$1" in
deconfig)
    ip link set "$interface" up
    exit 0
    ;;
bound | renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" dev "$interface"
    for gateway in $router; do
        ip route add default via "$gateway" dev "$interface"
        break
    done
    mkdir -p /run/osdlab
    # The last line tells a reader that the file is whole.
    printf '%s\n' "interface=$interface" "ip=$ip" "serverid=$serverid" "siaddr=$siaddr" "router=$router" \
        "dns=$dns" "hostname=$hostname" "boot_file=$boot_file" "lease=$lease_seconds" "end=1" >"$lease.new"
    mv "$lease.new" "$lease"
    exit 0
    ;;
pe | os) ;;
*) exit 0 ;;
esac

ip link set lo up
for card in /sys/class/net/*; do
    [ -e "$card/device" ] || continue
    name=${card##*/}
    ip link set "$name" up
    udhcpc -i "$name" -s "$0" -f -q -n -S -t 10 -T 1 -A 1 >/dev/null 2>&1 &
    break
done
exec python3 -I -S /osdlab/agent.zip "$1"
