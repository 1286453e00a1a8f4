#!/usr/bin/env bash
# Builds the Debian packages, busferry and busferry-dev (the headers of drivers), for Debian 12 and Raspberry Pi OS bookworm.
#
#   systemd/package.sh             for amd64, arm64 and armhf; they lie in build-package/ then
#   systemd/package.sh arm64       for one of them
#
# It happens in a Debian of its own, build-package/root, which the first run makes: that takes a minute or two.
set -u
cd "$(dirname "$0")/.." || exit 1
for arch in "$@"; do
    case "$arch" in amd64|arm64|armhf) ;; *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 64 ;; esac
done
[ $# -gt 0 ] || set -- amd64 arm64 armhf

# shellcheck source=tests/packages.sh
. tests/packages.sh
# shellcheck source=systemd/build_root.sh
. systemd/build_root.sh
# shellcheck disable=SC2086  # words are wanted
packages_need $PACKAGES_PACKAGE || exit 1

version=$(sed -n 's/^project(busferry VERSION \([^ ]*\) .*/\1/p' CMakeLists.txt)
packaged=$(sed -n '1s/.*(\(.*\)-.*).*/\1/p' systemd/deb/changelog)
if [ "$version" != "$packaged" ]; then
    echo "systemd/deb/changelog is about $packaged, CMakeLists.txt about $version: add an entry" >&2
    exit 65
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

build() { # ARCH
    root_need "$1" && root_copy busferry || return 1
    root_run sh -ec "cd /build/busferry; cp -r systemd/deb debian
        DEB_BUILD_OPTIONS='nocheck parallel=$(nproc)' nice dpkg-buildpackage -a$1 -Pcross,nocheck -b -us -uc"
}

for arch in "$@"; do
    if ! build "$arch" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "the package for $arch can't be built, see above" >&2
        exit 1
    fi
    for file in "$root_folder"/build/*_"$version"-*_"$arch".deb; do
        cp "$file" build-package/ || exit 74
        case "$file" in *-dbgsym*) ;; *) echo "$((($(stat -c %s "$file") + 999) / 1000)) kB build-package/${file##*/}" ;; esac
    done
done
