# What machine.py's machine does, as root, once it is up.  The console is shared with the kernel, so each line stands alone.
cd /mnt || exit 1
check() { # NAME COMMAND...
    name="$1"; shift
    if said=$("$@" 2>&1); then echo "ok      $name"; else echo "FAILED  $name"; echo "$said" | tail -n 20; return 1; fi
}
within() { # SECONDS COMMAND...: until the command succeeds
    end=$((SECONDS + $1)); shift
    until "$@"; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 0.2; done
}
unit() { systemctl show -P "$1" busferry; }
is() { [ "$(unit "$1")" = "$2" ] || { echo "$1 is $(unit "$1")"; systemctl status --no-pager busferry; return 1; }; }
said() { journalctl -q -o cat -u busferry --no-pager | grep -q "$1"; }
page() { (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n' >&3 && timeout 5 grep -qx ok <&3); }
comes() { timeout 60 mosquitto_sub -h 127.0.0.1 -p "${port:-1883}" ${2:+-u gateway -P secret} -C 1 -W 60 -R -t "home/cellar/meter/voltage" | grep -q "\"value\":$1"; }

echo "note    $(uname -m), Linux $(uname -r), $(systemctl --version | head -n 1), $(grep -c . /proc/cgroups) controllers"
systemctl start mosquitto
check "there is no adapter, and no driver for one" sh -c '! ls /dev/ttyUSB* 2>/dev/null && ! grep -q ttyUSB /proc/devices'
check "installs" dpkg -i older.deb
check "runs, told ready" within 60 is ActiveState active
check "idle" within 20 said 'nothing to do'
check "is enabled" systemctl is-enabled busferry
check "shows its fences" sh -c 'systemd-analyze security --no-pager busferry | tail -n 1 | tee /dev/stderr | awk "{ exit !(\$(NF - 2) + 0 <= 1.3) }"'
echo "note    $(systemd-analyze security --no-pager busferry | tail -n 1)"

cp machine.conf /etc/busferry/busferry.conf
systemctl restart busferry
check "runs without its adapter" within 30 is ActiveState active
check "its driver was loaded for it" grep -q ttyUSB /proc/devices
check "its page is there, within its fences" within 20 page 8088
check "it says that the port is missing" within 10 said "ttyUSB0 can't be opened: No such file"
echo "HOST: plug"
check "reads through the adapter that was plugged in later" comes ''
echo "note    $(timeout 20 mosquitto_sub -h 127.0.0.1 -v -C 1 -R -t 'home/cellar/meter/voltage')"
check "the rule set the adapter's timer to 1 ms" grep -qx 1 /sys/bus/usb-serial/devices/ttyUSB0/latency_timer
check "the adapter has a lasting name" sh -c 'ls -l /dev/serial/by-id/*'
echo "note    $(ls /dev/serial/by-id/)"
echo "HOST: unplug"
check "it says that the adapter is gone" within 20 said 'ttyUSB0 is gone'
sleep 3
echo "HOST: plug"
check "it says that the adapter is back" within 30 said 'ttyUSB0 is back'
check "reads again" comes ''

main=$(unit MainPID)
echo "note    $(grep VmRSS "/proc/$main/status" | tr -s '\t ' ' '), $(ls "/proc/$main/task" | wc -l) threads"
check "runs as busferry, without capabilities" sh -c "grep -q 'CapBnd:.*0000000000000000' /proc/$main/status && [ \$(stat -c %U /proc/$main) = busferry ]"
check "behind a filter of system calls, without new privileges" sh -c "grep -q 'Seccomp:.*2' /proc/$main/status && grep -q 'NoNewPrivs:.*1' /proc/$main/status"
check "its buffer is its own" sh -c '[ "$(stat -c %U:%a /var/lib/busferry)" = busferry:700 ]'
check "its socket answers who may" busferry buffer status -c /etc/busferry/busferry.conf
systemctl stop mosquitto
sleep 8
check "what waits lies on the disk" sh -c '[ -s /var/lib/busferry/buffer.db ]'
systemctl start mosquitto
check "it reads on when the broker is back" comes ''
check "no call was refused that it wanted" sh -c '! journalctl -q -o cat -u busferry | grep -iE "not permitted|read-only file"'

kill -9 "$main"
check "is restarted when it is killed" within 30 sh -c "[ \$(systemctl show -P NRestarts busferry) = 1 ] && [ \$(systemctl show -P ActiveState busferry) = active ]"
kill -STOP "$(unit MainPID)"
check "is restarted when it hangs" within 90 sh -c "[ \$(systemctl show -P NRestarts busferry) = 2 ] && [ \$(systemctl show -P ActiveState busferry) = active ]"
check "by its watchdog" sh -c 'journalctl -q -o cat -u busferry | grep -i watchdog'

echo 'scael: 1' >> /etc/busferry/busferry.conf
systemctl restart busferry
check "a fault in the map ends it" within 30 is ExecMainStatus 78
sleep 5
check "and is not tried again" is ActiveState failed
cp machine.conf /etc/busferry/busferry.conf

# A broker that wants a password, which systemd hands over.
printf 'listener 1884 127.0.0.1\npassword_file /etc/mosquitto/passwords\n' > /etc/mosquitto/conf.d/password.conf
printf 'listener 1883 127.0.0.1\nallow_anonymous true\n' > /etc/mosquitto/conf.d/plain.conf
echo 'per_listener_settings true' > /etc/mosquitto/conf.d/000.conf
mosquitto_passwd -b -c /etc/mosquitto/passwords gateway secret
chown mosquitto /etc/mosquitto/passwords
systemctl restart mosquitto
printf secret > /etc/busferry/password
chmod 600 /etc/busferry/password
sed -i 's|^broker:.*|broker: { url: "mqtt://127.0.0.1:1884"  user: "gateway" }|' /etc/busferry/busferry.conf
mkdir -p /etc/systemd/system/busferry.service.d
printf '[Service]\nLoadCredential=mqtt-password:/etc/busferry/password\n' > /etc/systemd/system/busferry.service.d/password.conf
systemctl daemon-reload
systemctl restart busferry
port=1884
check "a password that only root can read reaches the broker" comes '' password
port=1883
sed -i 's|^broker:.*|broker: "mqtt://127.0.0.1"|' /etc/busferry/busferry.conf
systemctl restart busferry

before=$(unit MainPID)
check "is upgraded" dpkg -i --force-confold newer.deb
check "and restarted by that" sh -c "[ \$(systemctl show -P MainPID busferry) != $before ] && [ \$(systemctl show -P ActiveState busferry) = active ]"
check "an upgraded one reads" comes ''
check "stops in time" sh -c 'start=$(date +%s); systemctl stop busferry; [ $(($(date +%s) - start)) -le 6 ]'
check "in order" is Result success
systemctl start busferry
check "is removed" dpkg -r busferry
check "and stopped by that" sh -c '! pgrep -x busferry'
check "a removal keeps the map and what waits" sh -c 'ls /etc/busferry/busferry.conf /var/lib/busferry/buffer.db'
check "is purged" dpkg -P busferry
check "and leaves nothing" sh -c '! ls -d /etc/busferry /var/lib/busferry /run/busferry /lib/systemd/system/busferry.service 2>/dev/null'
echo "HOST: end"
