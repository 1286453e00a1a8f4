#!/usr/bin/env bash
# Shows Busferry at work without any hardware: builds it, starts a broker, simulated devices and the gateway, all on the
# loopback and in a folder of its own, and prints readings as they arrive at the broker.
#
#   ./demo.sh              until Ctrl-C
#   ./demo.sh --seconds 20 ends by itself; exit code 0 only if readings of every device arrived
set -u
cd "$(dirname "$0")" || exit 1

seconds=0
while [ $# -gt 0 ]; do
    case "$1" in
        --seconds) seconds="${2:-}"; shift 2 || { echo "--seconds needs a number" >&2; exit 64; } ;;
        --help|-h) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "unknown option $1 (try --help)" >&2; exit 64 ;;
    esac
done
case "$seconds" in ''|*[!0-9]*) echo "--seconds needs a whole number" >&2; exit 64 ;; esac

# shellcheck source=tests/packages.sh
. tests/packages.sh
# shellcheck disable=SC2086  # words are wanted
packages_need $PACKAGES_BUILD $PACKAGES_BROKER || exit 1

build_log=$(mktemp)
if ! { cmake -S . -B build && cmake --build build -j "$(nproc)" --target busferry; } >"$build_log" 2>&1; then
    cat "$build_log" >&2
    rm -f "$build_log"
    echo "the build failed" >&2
    exit 1
fi
rm -f "$build_log"

dir=$(mktemp -d)
pids=""
finish() {
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null; done
    for pid in $pids; do wait "$pid" 2>/dev/null; done
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() { # a port of the loopback that nobody listens on; $1 is where to begin to look
    port=$(( $1 + RANDOM % 500 ))
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}
wait_for() { # SECONDS COMMAND...: until the command succeeds
    local tries=$(( $1 * 20 )); shift
    while [ "$tries" -gt 0 ]; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
        tries=$((tries - 1))
    done
    return 1
}

broker=$(free_port 18830) inverter=$(free_port 15020) weather=$(free_port 16020)
sed -e "s#/tmp/busferry-demo#$dir#" -e "s#127.0.0.1:18830#127.0.0.1:$broker#" -e "s#127.0.0.1:15020#127.0.0.1:$inverter#" \
    -e "s#127.0.0.1:15021#127.0.0.1:$weather#" config/demo.conf >"$dir/demo.conf"

printf 'listener %s 127.0.0.1\nallow_anonymous true\nlog_type error\n' "$broker" >"$dir/mosquitto.conf"
PATH="$PATH:/usr/sbin" mosquitto -c "$dir/mosquitto.conf" >"$dir/mosquitto.log" 2>&1 &
pids="$pids $!"
wait_for 10 mosquitto_pub -p "$broker" -t busferry-demo/ready -m 1 || { cat "$dir/mosquitto.log" >&2; exit 1; }

build/busferry simulate -c "$dir/demo.conf" >"$dir/simulate.log" 2>&1 &
pids="$pids $!"
wait_for 10 grep -q '^ready$' "$dir/simulate.log" || { cat "$dir/simulate.log" >&2; exit 1; }

mosquitto_sub -p "$broker" -v -t 'demo/#' >"$dir/seen" &
pids="$pids $!"
build/busferry run -c "$dir/demo.conf" 2>"$dir/busferry.log" &
gateway=$!
pids="$gateway $pids"

echo "broker mqtt://127.0.0.1:$broker (try: mosquitto_sub -p $broker -v -t 'demo/#'), map $dir/demo.conf"
sed 's/^/simulated /; /ready/d' "$dir/simulate.log"
echo
if [ "$seconds" -eq 0 ]; then
    tail -n +1 -f "$dir/seen" &
    pids="$pids $!"
    wait "$gateway"
    cat "$dir/busferry.log" >&2
    exit 1
fi
tail -n +1 -f "$dir/seen" &
pids="$pids $!"
sleep "$seconds" &
pids="$pids $!"
wait $!

echo
code=0
for device in cellar/meter cellar/heatpump ground/climate ground/inverter roof/weather; do
    n=$(grep -c "^demo/$device/[a-z_]* {\"value\":[^n]" "$dir/seen")
    printf '%-16s %5d readings\n' "$device" "$n"
    [ "$n" -gt 0 ] || code=1
done
if [ "$code" -ne 0 ]; then
    echo "not every device was heard; the gateway says:" >&2
    cat "$dir/busferry.log" >&2
fi
exit "$code"
