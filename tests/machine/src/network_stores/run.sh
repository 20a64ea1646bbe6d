#!/bin/sh
# Runs in namespaces of its own (network, mounts, processes): starts GlusterFS and Ceph in the root ROOT, and lets two replicas and the
# probe of the core work on them. PROGRAMS is the folder with the core, TESTS the suite of two clients.
#
# Each store prints `stores: NAME passed` or `stores: NAME failed`. Nothing is left when this ends: the namespaces go, and all that is written is in
# memory.
# Each store is a function that `try` calls by its name.
# shellcheck disable=SC2329
set -eu

ADDRESS=10.99.7.1
STARTS=20

say() { echo "stores: $*"; }

inside() { chroot "$ROOT" "$@"; }

# Tries a command for two minutes.
wait_for() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 120 ] || { "$@"; return 1; }
        sleep 1
    done
}

prepare() {
    ip link set lo up
    ip link add store0 type veth peer name store1
    ip addr add "$ADDRESS/24" dev store0
    ip link set store0 up
    ip link set store1 up
    mount --make-rprivate /
    mount -t proc proc /proc
    for folder in tmp run mnt srv etc/ceph var/lib/ceph var/lib/glusterd var/log; do
        mkdir -p "$ROOT/$folder"
        mount -t tmpfs tmpfs "$ROOT/$folder"
    done
    mount -t proc proc "$ROOT/proc"
    mount --bind /dev "$ROOT/dev"
    mkdir -p "$ROOT/run/gluster" "$ROOT/run/ceph" "$ROOT/var/log/glusterfs" "$ROOT/var/log/ceph"
    printf '127.0.0.1 localhost\n%s store\n' "$ADDRESS" > "$ROOT/tmp/hosts"
    mount --bind "$ROOT/tmp/hosts" "$ROOT/etc/hosts"
    mkdir -p "$ROOT/tmp/core/keys" "$ROOT/tmp/core/s3"
    printf '%064d' 7 > "$ROOT/tmp/core/keys/tenant.key"
    openssl genpkey -algorithm ed25519 -out "$ROOT/tmp/core/keys/receipt.key"
    printf access > "$ROOT/tmp/core/s3/accessKeyId"
    printf secretsecret > "$ROOT/tmp/core/s3/secretAccessKey"
}

# probe NUMBER STORAGE: whether the core would serve a tenant on a place where nothing is yet.
probe() {
    printf 'tenantId: t%s\ncluster: c\nregion: main\nkeysDir: %s\nlisten: {api: "127.0.0.1:0", metrics: "127.0.0.1:0"}\ndefaultNumberRegion: GB\nregions:\n- {name: main, master: true, storage: %s}\n' \
        "$1" "$ROOT/tmp/core/keys" "$2" > "$ROOT/tmp/core/config.yaml"
    "$PROGRAMS/voicemail" probe --config "$ROOT/tmp/core/config.yaml"
}

# probe_often NAME STORAGE: every start on a new place is admitted; `@` in STORAGE is the place's number.
probe_often() {
    start=0
    while [ "$start" -lt "$STARTS" ]; do
        start=$((start + 1))
        storage=$(echo "$2" | sed "s/@/$start/g")
        folder=$(echo "$storage" | sed -n 's/.*path: \([^}]*\)}}.*/\1/p')
        [ -z "$folder" ] || mkdir "$folder"
        probe "$start" "$storage" > "$ROOT/tmp/core/said" 2>&1 || { cat "$ROOT/tmp/core/said"; return 1; }
    done
    say "$1: $STARTS of $STARTS starts are admitted"
}

two_clients() { VOICEMAIL_MOUNTS="$ROOT/mnt/$1:$ROOT/mnt/$2" "$TESTS" --test-threads 1; }

gluster() {
    inside glusterfs --version | sed -n 1p
    mkdir -p "$ROOT/srv/brick" "$ROOT/mnt/gluster-a" "$ROOT/mnt/gluster-b"
    inside glusterd
    wait_for inside gluster --mode=script volume list
    inside gluster --mode=script volume create voice store:/srv/brick force
    inside gluster --mode=script volume start voice
    for client in a b; do inside glusterfs --volfile-server=store --volfile-id=voice "/mnt/gluster-$client"; done
    wait_for touch "$ROOT/mnt/gluster-a/there" "$ROOT/mnt/gluster-b/there"
    two_clients gluster-a gluster-b
    probe_often GlusterFS "{volume: {path: $ROOT/mnt/gluster-a/place-@}}"
}

write_ceph_conf() {
    cat > "$ROOT/etc/ceph/ceph.conf" <<CONF
[global]
fsid = 6b0e8a4e-5c1f-4f38-9a53-0d0f0c2f9f11
mon_host = [v2:$ADDRESS:3300,v1:$ADDRESS:6789]
public_addr = $ADDRESS
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
ms_cluster_mode = crc
ms_service_mode = crc
ms_client_mode = crc
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_crush_chooseleaf_type = 0
mon_data_avail_crit = 1
[client.rgw.gateway]
rgw_frontends = beast endpoint=$ADDRESS:8080
CONF
}

is_healthy() { inside timeout 10 ceph osd stat | grep '1 up' > /dev/null; }

ceph_cluster() {
    inside ceph --version
    write_ceph_conf
    for folder in mon/ceph-a mgr/ceph-x osd/ceph-0 mds/ceph-m radosgw/ceph-rgw.gateway; do
        mkdir -p "$ROOT/var/lib/ceph/$folder"
    done
    inside monmaptool --create --fsid 6b0e8a4e-5c1f-4f38-9a53-0d0f0c2f9f11 --addv a "[v2:$ADDRESS:3300,v1:$ADDRESS:6789]" /tmp/monmap
    inside ceph-mon --mkfs -i a --monmap /tmp/monmap
    inside ceph-mon -i a
    wait_for inside timeout 10 ceph -s
    inside ceph-mgr -i x
    inside ceph osd new 1d7e3cfa-6f0e-4f9b-8f3c-2a8a5a1c7d10 0
    inside ceph-osd -i 0 --mkfs --osd-uuid 1d7e3cfa-6f0e-4f9b-8f3c-2a8a5a1c7d10
    inside ceph-osd -i 0
    wait_for is_healthy
}

has_metadata_server() { inside timeout 10 ceph mds stat | grep 'up:active' > /dev/null; }

cephfs() {
    inside ceph osd pool create fs_data 8
    inside ceph osd pool create fs_meta 8
    inside ceph fs new voice fs_meta fs_data
    inside ceph-mds -i m
    wait_for has_metadata_server
    for client in a b; do
        mkdir -p "$ROOT/mnt/ceph-$client"
        inside ceph-fuse "/mnt/ceph-$client"
    done
    two_clients ceph-a ceph-b
    probe_often CephFS "{volume: {path: $ROOT/mnt/ceph-a/place-@}}"
}

bucket() { echo "{s3: {bucket: $1, region: us-east-1, prefix: place-@, endpoint: 'http://$ADDRESS:8080', credentials: {files: {dir: $ROOT/tmp/core/s3}}}}"; }

ceph_gateway() {
    inside ceph osd pool create .rgw.root 4 --yes-i-really-mean-it
    inside radosgw -n client.rgw.gateway
    wait_for curl --silent --fail "http://$ADDRESS:8080/"
    inside radosgw-admin user create --uid=voice --display-name=voice --access-key=access --secret-key=secretsecret > /dev/null
    # A bucket with versions, and one without.
    "$PROGRAMS/network-stores" buckets "http://$ADDRESS:8080" access secretsecret
    probe_often "Ceph's gateway" "$(bucket plain)"
    if probe 1 "$(bucket versioned | sed 's/@/1/')" > "$ROOT/tmp/core/said" 2>&1; then
        say "a versioned bucket of Ceph's gateway was admitted, though a second creator of a name wins there"
        return 1
    fi
    grep 'FAIL  create-is-exclusive' "$ROOT/tmp/core/said" || { cat "$ROOT/tmp/core/said"; return 1; }
}

failed=0
try() {
    name=$1
    shift
    # In a shell of its own, in which a failing step ends it: `set -e` has no effect in a condition.
    set +e
    (set -e; "$@")
    ended=$?
    set -e
    if [ "$ended" -eq 0 ]; then say "$name passed"; else say "$name failed"; failed=1; fi
}

prepare
try GlusterFS gluster
try Ceph ceph_cluster
try CephFS cephfs
try "Ceph's gateway" ceph_gateway
exit "$failed"
