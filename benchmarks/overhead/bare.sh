#!/usr/bin/env bash
# The bare script: network, dnsmasq, a file server and QEMU, with nothing around them. Runs inside
#   unshare --net --pid --fork --kill-child --mount --mount-proc
# bare.sh FOLDER: FOLDER holds dnsmasq.conf, tftp/, www/, qemu.args (one argument a line) and PYTHON (a link)
set -euo pipefail
cd "$1"
ip link set lo up
ip link add osdlab0 type bridge
ip address add 10.77.0.1/24 dev osdlab0
ip link set osdlab0 up
ip tuntap add tap0 mode tap
ip link set tap0 master osdlab0 up
dnsmasq --keep-in-foreground --log-facility=- --conf-file=dnsmasq.conf --pid-file= 2>dnsmasq.log &
./PYTHON -m http.server --bind 10.77.0.1 --directory www 80 >http.log 2>&1 &
mapfile -t arguments < qemu.args
"${arguments[@]}" >qemu.log 2>&1
grep -q 'bare: done' console.log
