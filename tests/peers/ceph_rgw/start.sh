#!/bin/bash
# A real S3 store in memory: one Ceph monitor, one OSD on memstore, one RADOS gateway; no service manager.
# usage: start.sh STATE_DIR GATEWAY_PORT MONITOR_PORT   ready after about 12 s; pids are in STATE_DIR/*.pid
# Debian: radosgw ceph-mon ceph-osd ceph-mgr ceph-common
set -e
D=$1; mkdir -p "$D"/{mon,osd,run}; FSID=$(cat /proc/sys/kernel/random/uuid)
cat > "$D/ceph.conf" <<C
[global]
fsid = $FSID
mon initial members = a
mon host = v1:127.0.0.1:$3
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 1
osd pool default pgp num = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
mon pg warn min per osd = 0
mon max pg per osd = 1000
run dir = $D/run
admin socket = $D/run/\$name.asok
pid file = $D/run/\$name.pid
log file = $D/\$name.log
osd pool default pg autoscale mode = off
ms bind msgr2 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd objectstore = memstore
memstore device bytes = 2147483648
[mon.a]
mon data = $D/mon
mon addr = 127.0.0.1:$3
mon data avail crit = 1
[osd.0]
osd data = $D/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$2
rgw dns name = 127.0.0.1
rgw enable usage log = false
rgw_enable_ops_log = false
C
export CEPH_CONF=$D/ceph.conf
monmaptool --create --fsid "$FSID" --addv a "[v1:127.0.0.1:$3]" "$D/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$D/monmap" -c "$D/ceph.conf"
ceph-mon -i a -c "$D/ceph.conf" -f > "$D/mon.out" 2>&1 & echo $! > "$D/mon.pid"
U=$(cat /proc/sys/kernel/random/uuid)
timeout 40 ceph -c "$D/ceph.conf" osd new "$U" 0
ceph-osd -i 0 -c "$D/ceph.conf" --mkfs --osd-uuid "$U" > "$D/osd-mkfs.out" 2>&1
timeout 20 ceph -c "$D/ceph.conf" osd crush add osd.0 1.0 root=default host=h || true
ceph-osd -i 0 -c "$D/ceph.conf" -f > "$D/osd.out" 2>&1 & echo $! > "$D/osd.pid"
timeout 60 radosgw-admin -c "$D/ceph.conf" user create --uid=fg --display-name=fg \
  --access-key=AKIDFAILGATE00000001 --secret-key=secretsecretsecretsecretsecretsecret0001 > "$D/user.json" 2> "$D/user.err"
radosgw -c "$D/ceph.conf" -n client.rgw -f > "$D/rgw.out" 2>&1 & echo $! > "$D/rgw.pid"
