#!/usr/bin/env bash
# The unit tests for another processor, built as the package is and run under qemu-user: other alignment, signedness of
# char, width of long and of pointers.  Those that need more than qemu-user has are named in the list below, with the reason.
#
#   tests/package/foreign.sh             arm64, then armhf
#   tests/package/foreign.sh armhf       one of them
#   tests/package/foreign.sh amd64       this machine's own: what differs by the place only
#
# Needs root or sudo.  It happens in build-package/root, see systemd/build_root.sh.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/packages.sh
. tests/packages.sh
# shellcheck source=systemd/build_root.sh
. systemd/build_root.sh
[ $# -gt 0 ] || set -- arm64 armhf
# shellcheck disable=SC2086  # words are wanted
packages_need $PACKAGES_PACKAGE || exit 1

# Under qemu-user only; machine.py shows these things on a whole Arm.
left_out="port_settings station_faults tty_speed: qemu-user 7.2 has no TCGETS2, with which speeds are read
port_holder: what runs is called qemu there, not by the name of the test"

failed=0
for arch in "$@"; do
    case "$arch" in
        amd64) triplet=x86_64-linux-gnu processor=x86_64 ;;
        arm64) triplet=aarch64-linux-gnu processor=aarch64 ;;
        armhf) triplet=arm-linux-gnueabihf processor=arm ;;
        *) echo "unknown architecture $arch: amd64, arm64 or armhf" >&2; exit 64 ;;
    esac
    emulator=""
    without='^$'
    if [ "$arch" != "$root_native" ]; then
        emulator=/usr/bin/qemu-$processor-static
        without="^unit/($(echo "$left_out" | sed 's/:.*//' | xargs | tr ' ' '|'))\$"
    fi
    log=build-package/tests-$arch.log
    if ! { root_need "$arch" && root_add qemu-user-static python3-minimal && root_copy tests &&
        root_run cmake -S /build/tests -B "/build/tests-on-$arch" -G Ninja -DBUSFERRY_WERROR=ON -DBUSFERRY_TESTS=ON \
            -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$processor" -DCMAKE_C_COMPILER="$triplet-gcc" \
            -DPKG_CONFIG_EXECUTABLE="/usr/bin/$triplet-pkg-config" -DCMAKE_LIBRARY_ARCHITECTURE="$triplet" \
            -DCMAKE_CROSSCOMPILING_EMULATOR="$emulator" &&
        root_run nice ninja -C "/build/tests-on-$arch"; } >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "FAILED  $arch: can't be built, see $log" >&2
        failed=1
        continue
    fi
    root_run ctest --test-dir "/build/tests-on-$arch" -L unit --timeout 1200 -j "$(nproc)" --output-on-failure \
        -E "$without" >"$log" 2>&1 || failed=1
    echo "$arch: $(grep -E 'tests passed|tests failed' "$log" | tail -n 1)"
    sed -n '/The following tests FAILED/,$p' "$log"
    [ -z "$emulator" ] || echo "$left_out" | sed 's/^/left out: /'
done
exit "$failed"
