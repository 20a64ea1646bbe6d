#!/bin/sh
# The first program of the guest: an NFS server, two clients of it in network namespaces of their own, and one mount with the
# options that a client has by itself. Then the tests, whose exit status is the last line.
#
# From the kernel's command line: PROGRAMS, a folder of the host that is seen at the same path; TESTS, a program below it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

end() {
  echo "guest: $1"
  sync
  echo o >/proc/sysrq-trigger
  sleep 60
}

mount -t proc proc /proc && mount -t sysfs sys /sys || end "no /proc"
for folder in /run /tmp /mnt /srv /var/lib/nfs; do mount -t tmpfs tmpfs "$folder" || end "no tmpfs at $folder"; done
mkdir -p /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs /run/netns /mnt/first /mnt/second /mnt/default
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
for module in nfsd nfs nfsv4 veth; do modprobe "$module" || end "no kernel module $module"; done

mkfs.ext4 -q /dev/ubda && mount /dev/ubda /srv || end "no disk"
mount -t nfsd nfsd /proc/fs/nfsd
ip link set lo up
exportfs -i -o rw,no_root_squash,fsid=0,insecure,no_subtree_check '*:/srv' || end "no export"
rpc.nfsd --no-nfs-version 3 8 && rpc.mountd --no-nfs-version 3 || end "no NFS server"

# A client of its own for each: what one remembers the other doesn't know.
connect() {
  ip netns add "$1" && ip link add "to-$1" type veth peer name eth0 netns "$1" || end "no network of $1"
  ip addr add "10.9.$2.1/24" dev "to-$1"
  ip link set "to-$1" up
  ip -n "$1" link set lo up
  ip -n "$1" addr add "10.9.$2.2/24" dev eth0
  ip -n "$1" link set eth0 up
}
join() {
  nsenter "--net=/run/netns/$1" mount -t nfs4 -o "nfsvers=4.2,hard,nosharecache$3" "10.9.$2.1:/" "/mnt/$4" || end "no mount of $1"
}
connect first 1
connect second 2
join first 1 ,lookupcache=none first
join second 2 ,lookupcache=none second
join second 2 "" default
grep nfs4 /proc/self/mountinfo

mkdir -p "$PROGRAMS" && mount -t hostfs -o "$PROGRAMS" none "$PROGRAMS" || end "no programs"
export VOICEMAIL_MOUNTS=/mnt/first:/mnt/second VOICEMAIL_REFUSED_MOUNT=/mnt/default
cd /tmp || end "no /tmp"
"$TESTS" --include-ignored --test-threads=1
end "tests ended with $?"
