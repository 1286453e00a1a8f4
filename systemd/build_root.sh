# Sourced by package.sh and the tests of packages: a Debian 12 of their own in build-package/root, so that what is built
# depends neither on this machine nor changes it.  Run from the top of the tree; needs root or sudo, and mmdebstrap.
#   root_need ARCH     makes it, or adds what programs for ARCH are made with
#   root_add PACKAGE.. installs packages in it
#   root_run COMMAND.. runs there
#   root_copy NAME     brings this tree to /build/NAME in it, all files as new: those that a build there knows are older

root_folder=$PWD/build-package/root
root_sudo=""
[ "$(id -u)" -eq 0 ] || root_sudo=sudo
root_native=$(dpkg --print-architecture)
root_tools="build-essential cmake ninja-build debhelper pkg-config protobuf-c-compiler"
root_libraries="libmodbus-dev libserialport-dev libmosquitto-dev libssl-dev libconfig-dev libcjson-dev libmicrohttpd-dev libsqlite3-dev libprotobuf-c-dev libcmocka-dev"

# This machine's mirror.  Of the release itself only: a library has one version for all architectures then, without which it
# can't be installed for two of them, and some mirrors have no sound list of armhf's security updates.
root_mirror() {
    uri=$(apt-get indextargets --format '$(SUITE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "bookworm" && $2 == "main" { print $3; exit }')
    echo "deb ${uri:-http://deb.debian.org/debian} bookworm main"
}

# Its own view of mounts ends with the command, so nothing is left behind.
root_run() {
    # shellcheck disable=SC2016  # for the shell inside
    $root_sudo unshare --mount sh -ec 'for name in proc sys dev; do mount --rbind "/$name" "$0/$name"; done; exec chroot "$0" \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"' "$root_folder" "$@"
}

root_add() {
    root_run dpkg-query -W "$@" >/dev/null 2>&1 && return 0
    root_run apt-get install -y -qq --no-install-recommends "$@"
}

root_need() { # ARCH
    if [ ! -f "$root_folder/etc/busferry-root" ]; then
        $root_sudo rm -rf --one-file-system "$root_folder"
        mkdir -p "$(dirname "$root_folder")"
        # shellcheck disable=SC2086  # words are wanted
        $root_sudo mmdebstrap --quiet --mode=root --variant=apt --skip=cleanup/apt/lists \
            --include="$(echo $root_tools $root_libraries | tr ' ' ,)" bookworm "$root_folder" "$(root_mirror)" || return 1
        $root_sudo touch "$root_folder/etc/busferry-root"
    fi
    $root_sudo cp /etc/resolv.conf "$root_folder/etc/resolv.conf"
    [ "$1" = "$root_native" ] && return 0
    if ! root_run dpkg --print-foreign-architectures | grep -qx "$1"; then
        root_run dpkg --add-architecture "$1" && root_run apt-get update -qq || return 1
    fi
    # shellcheck disable=SC2046,SC2086  # words are wanted
    root_add "crossbuild-essential-$1" $(printf "%s:$1 " $root_libraries)
}

root_copy() { # NAME
    $root_sudo rm -rf "$root_folder/build/$1"
    $root_sudo mkdir -p "$root_folder/build/$1"
    tar -c --exclude-vcs --exclude='./build*' --exclude='./.cache' . | $root_sudo tar -x -m --no-same-owner -C "$root_folder/build/$1"
}
