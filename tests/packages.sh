# Sourced by demo.sh and test.sh: installs the Debian packages that are missing, quietly, and says what it can't.
#   packages_need NAME...

packages_need() {
    missing=""
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
        case "$state" in ii*) ;; *) missing="$missing $package" ;; esac
    done
    [ -z "$missing" ] && return 0
    sudo=""
    if [ "$(id -u)" -ne 0 ]; then
        sudo="sudo"
        if ! command -v sudo >/dev/null 2>&1; then
            echo "These packages are missing and there is no sudo to install them:$missing" >&2
            return 1
        fi
    fi
    echo "installing:$missing"
    log=$(mktemp)
    # The lists of a new machine may be empty or old: they are fetched when the first try fails.
    # shellcheck disable=SC2086  # words are wanted
    if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1; then
        if ! { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends $missing; } >"$log" 2>&1; then
            cat "$log" >&2
            rm -f "$log"
            return 1
        fi
    fi
    rm -f "$log"
}

# What is not in Debian, where there is npm to fetch it: a broker, a decoder of Sparkplug, and a program of docs/snippets.md.
# Without it its tests are skipped.
npm_need() { # FOLDER NAME VERSION
    if [ ! -d "$1/node_modules/$2" ] && command -v npm >/dev/null 2>&1; then
        npm install --silent --no-audit --no-fund --prefix "$1" "$2@$3" >/dev/null 2>&1 ||
            echo "npm can't fetch $2: its tests are skipped" >&2
    fi
}

# A root of their own is entered with mounts of its own, which some containers forbid.
packages_possible() {
    if [ "$(id -u)" -eq 0 ]; then unshare --mount true; else sudo -n unshare --mount true; fi 2>/dev/null
}

PACKAGES_BUILD="gcc libc6-dev cmake make pkg-config libmodbus-dev libserialport-dev libmosquitto-dev libssl-dev libconfig-dev libcjson-dev libmicrohttpd-dev libsqlite3-dev libprotobuf-c-dev protobuf-c-compiler"
PACKAGES_BROKER="mosquitto mosquitto-clients"
# The other brokers of docs/brokers.md, one of them for the cluster too.  On a machine with systemd the packages start them as
# services, of which the tests know nothing: theirs have ports and folders of their own.
PACKAGES_ROWS="rabbitmq-server activemq libmqtt-client-java ejabberd"
# The programs of docs/snippets.md, each of which is missed by its own test only.  prometheus, which asks what the dashboard asks, is
# taken where it is: as a package it would start a service.
PACKAGES_SNIPPETS="jq collectd-core"
PACKAGES_TEST="ninja-build protobuf-compiler clang clang-format clang-tidy cppcheck libclang-rt-14-dev libcmocka-dev python3 python3-pymodbus
    python3-serial python3-jinja2 socat mbpoll man-db zsh fish ccache"
# For scenario/page_browser: hundreds of megabytes, so only the long run installs it.
PACKAGES_BROWSER="chromium"
# All that packages are made with comes into a root of their own: systemd/build_root.sh.
PACKAGES_PACKAGE="mmdebstrap"
# For tests/package/machine.py, beside that.
PACKAGES_MACHINE="qemu-system-x86 qemu-system-arm qemu-user-static arch-test seabios ipxe-qemu e2fsprogs python3"
