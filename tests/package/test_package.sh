#!/usr/bin/env bash
# The Debian package as its users meet it: lintian, hardening, fences; then installed, upgraded, removed and purged in a
# Debian 12 that has nothing but what a smallest one has.  Prints a line a check, and in the end how many passed.
#
#   tests/package/test_package.sh             for this machine's architecture, all of it
#   tests/package/test_package.sh arm64       for another one what can be seen without running it
#
# Needs root or sudo.  All of it lies in build-package/.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/packages.sh
. tests/packages.sh
# shellcheck source=systemd/build_root.sh
. systemd/build_root.sh
arch=${1:-$root_native}
# shellcheck disable=SC2086  # words are wanted
packages_need $PACKAGES_PACKAGE || exit 1

passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
check() { # NAME COMMAND...
    name="$1"; shift
    if "$@" >"$log" 2>&1; then
        echo "ok      $name"
        passed=$((passed + 1))
    else
        echo "FAILED  $name"
        tail -n 30 "$log"
        failed=$((failed + 1))
        return 1
    fi
}
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

check "is built for $arch" systemd/package.sh "$arch" || finish
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' systemd/deb/changelog)
package=build-package/busferry_${version}_$arch.deb
headers=build-package/busferry-dev_${version}_$arch.deb

# What lintian only informs of is shown by `lintian -I`; it is not asked for here.
check "lintian installs" root_add lintian devscripts systemd
lintian_is_silent() {
    root_run lintian --no-cfg --allow-root --fail-on error,warning --display-level '>=warning' \
        "/build/busferry_${version}_$arch.deb" "/build/busferry-dev_${version}_$arch.deb" "/build/busferry-dbgsym_${version}_$arch.deb"
}
check "lintian has neither errors nor warnings" lintian_is_silent

small() { [ "$(stat -c %s "$package")" -lt 500000 ] && [ "$(stat -c %s "$headers")" -lt 50000 ]; }
check "is smaller than 500 kB" small

# The program of the package, where the tools of the root can see it.
$root_sudo rm -rf "$root_folder/build/unpacked"
$root_sudo dpkg-deb -x "$package" "$root_folder/build/unpacked"
hardened() {
    root_run hardening-check /build/unpacked/usr/bin/busferry || true
    root_run hardening-check /build/unpacked/usr/bin/busferry | awk -F': ' '
        / (Position Independent Executable|Stack protected|Fortify Source functions|Read-only relocations|Immediate binding)$/ { next }
        /^ (Position Independent Executable|Stack protected|Fortify Source functions|Read-only relocations|Immediate binding):/ {
            n++; if ($2 !~ /^yes/) bad = 1 }
        END { exit n != 5 || bad }'
}
check "is hardened: PIE, stack protector, fortify, relro, bindnow" hardened

owned_by_root() { ! dpkg-deb -c "$package" | awk '$2 != "root/root" || substr($1, 6, 1) == "w" || substr($1, 9, 1) == "w"' | grep -v '^l'; }
check "all files are root's, and nobody else's to write" owned_by_root

depends() { # no library is forgotten, and none is of another architecture
    for library in libc6 libcjson1 libconfig9 libmodbus5 libmosquitto1 libserialport0 libsqlite3-0 libssl3; do
        dpkg-deb -f "$package" Depends | grep -qE "(^|, )$library( \(|,|$)" || { echo "no $library"; return 1; }
    done
    dpkg-deb -f "$package" Depends
}
check "depends on each library that it links" depends
check "depends on what its unit calls" sh -c "dpkg-deb -f $package Depends | grep -qw procps"

# systemd starts no service whose paths are not all there, but for those with a dash: /lib64 is on PCs only.
everywhere() {
    sed -n 's/^\(ExecPaths\|NoExecPaths\|ReadOnlyPaths\|ReadWritePaths\)=//p' "$root_folder/build/unpacked/lib/systemd/system/busferry.service" |
        xargs -n 1 | grep -vxE -e '/|/usr/bin/busferry|/usr/lib|/lib|/bin/kill|-.*' && return 1
    return 0
}
check "the unit names no path that another architecture lacks" everywhere

[ "$arch" = "$root_native" ] || finish

# --- a smallest Debian, with systemd as on any Raspberry Pi, made anew each time from a file

clean=$PWD/build-package/clean
in_clean() { root_folder="$clean" root_run "$@"; }
clean_root() {
    $root_sudo rm -rf --one-file-system "$clean"
    if [ ! -f build-package/clean.tar ]; then
        $root_sudo mmdebstrap --quiet --mode=root --variant=minbase --skip=cleanup/apt/lists --include=systemd-sysv,udev \
            bookworm build-package/clean.tar "$(root_mirror)" || return 1
    fi
    $root_sudo mkdir "$clean" && $root_sudo tar -xf build-package/clean.tar -C "$clean" && $root_sudo cp /etc/resolv.conf "$clean/etc/"
    printf '#!/bin/sh\nexit 101\n' | $root_sudo tee "$clean/usr/sbin/policy-rc.d" >/dev/null
    $root_sudo chmod +x "$clean/usr/sbin/policy-rc.d"
}
check "a smallest Debian is made" clean_root || finish

# An older version: the same with another number and another map.
older() {
    $root_sudo rm -rf build-package/older
    $root_sudo dpkg-deb -R "$package" build-package/older &&
        $root_sudo sed -i 's/^Version: .*/Version: 0.0.9-1/' build-package/older/DEBIAN/control &&
        echo "# of the older version" | $root_sudo tee -a build-package/older/etc/busferry/busferry.conf >/dev/null &&
        (cd build-package/older && md5=$(md5sum etc/busferry/busferry.conf) &&
            $root_sudo sed -i "s|.*  etc/busferry/busferry.conf|$md5|" DEBIAN/md5sums) &&
        $root_sudo dpkg-deb --root-owner-group -b build-package/older "$clean/older.deb" && $root_sudo cp "$package" "$clean/newer.deb"
}
check "an older version is made" older || finish

everything() { # paths, without what dpkg and apt write about themselves, and without copies that user tools leave
    in_clean sh -c 'find / \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/lib/apt -o -path /var/cache \
        -o -path /var/lib/dpkg -o -path /run -o -path /var/log \) -prune -o -print' | grep -vE '^/etc/(passwd|group|shadow|gshadow)-$|^/etc/\.pwd\.lock$' | sort
}
everything >build-package/before.txt
install() { in_clean apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"; }

check "installs with its dependencies" install /older.deb
check "the user exists, in the group dialout" in_clean sh -ec 'id -nG busferry | grep -qw dialout; getent passwd busferry | grep -q ":/usr/sbin/nologin$"'
check "the service is enabled" in_clean test -L /etc/systemd/system/multi-user.target.wants/busferry.service
check "the program runs" in_clean busferry --version
check "its map is sound, and readable for everybody" in_clean setpriv --reuid=65534 --clear-groups busferry check
idle() { in_clean sh -c 'timeout 3 setpriv --reuid=busferry --regid=busferry --init-groups busferry run' 2>&1 | tee /dev/stderr | grep -q 'nothing to do'; }
check "with its map the gateway runs idle and says so" idle
check "the profiles are found" in_clean sh -ec 'busferry profiles show eastron-sdm120'
check "systemd-analyze verify has nothing to say" in_clean sh -c 'said=$(systemd-analyze verify --man=no /lib/systemd/system/busferry.service 2>&1); echo "$said"; [ -z "$said" ]'
fences() {
    in_clean systemd-analyze security --offline=true --no-pager /lib/systemd/system/busferry.service | tail -n 1 |
        awk '{ print; exit !($(NF - 2) + 0 > 0 && $(NF - 2) + 0 <= 1.3) }'
}
check "systemd-analyze security says at most 1.3" fences

in_clean sh -ec 'echo "every: \"7s\"" >> /etc/busferry/busferry.conf; install -d -o busferry -g busferry -m 700 /var/lib/busferry
    install -o busferry -m 600 /dev/null /var/lib/busferry/buffer.db
    install -d /etc/busferry/conf.d; install -g busferry -m 640 /dev/null /etc/busferry/password'
check "is upgraded" install /newer.deb
check "the version is the new one" in_clean sh -c "dpkg-query -W busferry | grep -q '$version'"
check "an edited map is kept" in_clean grep -q '7s' /etc/busferry/busferry.conf
check "the new map lies beside it" in_clean test -f /etc/busferry/busferry.conf.dpkg-dist
check "the service is still enabled" in_clean test -L /etc/systemd/system/multi-user.target.wants/busferry.service
in_clean systemctl disable busferry.service >/dev/null 2>&1
check "installs again over itself" in_clean apt-get install -y -q --reinstall /newer.deb
check "the service that was disabled stays so" in_clean test ! -e /etc/systemd/system/multi-user.target.wants/busferry.service

check "is removed" in_clean apt-get remove -y -q busferry
check "a removal keeps map, password and what waits" in_clean sh -ec 'cd /etc/busferry; ls busferry.conf password conf.d /var/lib/busferry/buffer.db'
check "a removal takes the program" in_clean sh -c '! ls /usr/bin/busferry /lib/systemd/system/busferry.service 2>/dev/null'
check "comes back to them" install /newer.deb
check "the map is still the edited one" in_clean grep -q '7s' /etc/busferry/busferry.conf
check "is purged" in_clean apt-get purge -y -q --autoremove busferry
nothing_is_left() { everything | comm -13 build-package/before.txt - | tee /dev/stderr | { ! grep -q .; }; }
check "a purge leaves nothing" nothing_is_left
check "but the user, as those of other packages" in_clean id busferry
$root_sudo rm -rf --one-file-system "$clean" build-package/older
finish
