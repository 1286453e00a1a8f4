#!/usr/bin/env bash
# Builds and tests everything: installs what is missing, quiet about what is fine, clear about what is not.
#
#   ./test.sh          all of it
#   ./test.sh quick    one build with gcc, and its tests
#   ./test.sh long     all of it, then what takes hours: see docs/testing.md
#
# The builds are kept in build-test/, so a second run is faster.
#
# Most tests wait most of their time.  Meanwhile what only reckons (the next builds, the package, analysis) is done one after
# the other at idle priority, and told when it is asked for; and the tests of both sanitizers go on side by side.
set -u
cd "$(dirname "$0")" || exit 1
what="${1:-all}"
case "$what" in all|quick|long) ;; *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 64 ;; esac

# shellcheck source=tests/packages.sh
. tests/packages.sh
# shellcheck disable=SC2086  # words are wanted
packages_need $PACKAGES_BUILD $PACKAGES_BROKER $PACKAGES_TEST || exit 1
if [ "$what" != quick ]; then
    # shellcheck disable=SC2086  # words are wanted
    packages_need $PACKAGES_ROWS || echo "tests with the brokers that are missing are skipped" >&2
    # shellcheck disable=SC2086  # words are wanted
    packages_need $PACKAGES_SNIPPETS || echo "snippets whose programs are missing are not run" >&2
    npm_need build-test/aedes aedes 1.2.0
    npm_need build-test/sparkplug sparkplug-payload 1.0.3
    npm_need build-test/node-red node-red 4.0.9 &
    fetched=$! # while the first build runs
fi

jobs=$(nproc)
export CCACHE_DIR=$PWD/build-test/ccache # each unit test compiles what it needs, many of them the same
work=$(mktemp -d)
log=$work/log
chain="" # process groups that work behind and beside
beside=""
ends() {
    for group in $chain $beside; do kill -- "-$group" 2>/dev/null; done
    rm -rf "$work"
}
trap ends EXIT
failed=0

told() { # NAME STATUS SECONDS LOG
    if [ "$2" -eq 0 ]; then
        printf 'ok      %-46s %4d s\n' "$1" "$3"
        sed -n 's/^.*Test *#[0-9]*: \([^ ]*\) .*\*\*\*Skipped.*/SKIPPED \1/p' "$4"
    else
        printf 'FAILED  %-46s %4d s\n' "$1" "$3"
        tail -n 120 "$4"
        failed=1
    fi
    return "$2"
}

phase() { # NAME COMMAND...: runs it silently, shows its output if it fails
    name="$1"; shift
    start=$SECONDS
    "$@" >"$log" 2>&1
    told "$name" $? $((SECONDS - start)) "$log"
}

behind() { # KEY NAME COMMAND...: a phase of the chain
    key="$1"
    printf '%s\n' "$2" >"$work/$key.name"; shift 2
    start=$SECONDS
    "$@" >"$work/$key.log" 2>&1
    printf '%d %d\n' $? $((SECONDS - start)) >"$work/$key.new" && mv "$work/$key.new" "$work/$key"
}

beside() { # KEY NAME COMMAND...: a phase while others go on; told by await KEY "$beside"
    set -m # a process group of its own
    (behind "$@") &
    beside=$!
    set +m
}

await() { # KEY GROUP: a phase of it is waited for and told
    while [ ! -f "$work/$1" ] && kill -0 "$2" 2>/dev/null; do sleep 1; done
    if [ ! -f "$work/$1" ]; then
        echo "FAILED  $1: it has not ended"
        failed=1
        return 1
    fi
    read -r status seconds <"$work/$1"
    told "$(cat "$work/$1.name")" "$status" "$seconds" "$work/$1.log"
}

build() { # FOLDER OPTIONS...
    folder="build-test/$1"; shift
    cmake -S . -B "$folder" -G Ninja -DBUSFERRY_WERROR=ON -DBUSFERRY_TESTS=ON -DCMAKE_C_COMPILER_LAUNCHER=ccache "$@" &&
        cmake --build "$folder" -j "$jobs"
}

# Most tests of the whole program wait most of their time, so there are more of them at once than processors.
at_once="" # how many, where not that many
tests() { # FOLDER CTEST-OPTIONS...
    folder="build-test/$1"; shift
    ctest --test-dir "$folder" --output-on-failure -j "${at_once:-$((2 * jobs))}" "$@"
}

FUZZED="map text frame sml mbus iec62056 wanted discovered sparkplug"

build_fuzz() {
    # shellcheck disable=SC2046  # words are wanted
    cmake -S . -B build-test/fuzz -G Ninja -DBUSFERRY_WERROR=ON -DBUSFERRY_TESTS=ON -DCMAKE_C_COMPILER=clang \
        -DBUSFERRY_SANITIZE=address -DBUSFERRY_FUZZ=ON &&
        cmake --build build-test/fuzz -j "$jobs" --target $(printf 'fuzz_%s ' $FUZZED)
}

fuzz() { # NAME SECONDS: lets libFuzzer look for so long; what it finds is left in build-test/fuzz/crash-*
    found="build-test/fuzz/found-$1"
    seeds=("tests/fuzz/corpus-$1")
    dict=()
    if [ "$1" = map ]; then seeds+=(tests/map config config/profiles); fi
    if [ -f "tests/fuzz/$1.dict" ]; then dict=("-dict=tests/fuzz/$1.dict"); fi
    mkdir -p "$found"
    LSAN_OPTIONS=suppressions=tests/fuzz/lsan.supp:print_suppressions=0 "build-test/fuzz/tests/fuzz/fuzz_$1" \
        -max_total_time="$2" -timeout=20 -max_len=8192 "${dict[@]}" -artifact_prefix=build-test/fuzz/ "$found" "${seeds[@]}"
}

analyse() {
    behind asan "build: clang, address and undefined sanitizers" \
        build asan -DCMAKE_C_COMPILER=clang -DBUSFERRY_SANITIZE=address
    behind tsan "build: thread sanitizer" build tsan -DBUSFERRY_SANITIZE=thread
    if packages_possible; then
        behind package "package: made, installed, upgraded, removed" bash tests/package/test_package.sh
    fi
    behind cppcheck "analysis: cppcheck" bash tests/structure/cppcheck.sh
    behind tidy "analysis: clang-tidy" bash tests/structure/tidy.sh build-test/asan
}

# Two of them wait for minutes and do little else.
gcc_tests() {
    beside waits "tests: gcc, what waits for minutes" tests gcc -L waits
    phase "tests: gcc" tests gcc -LE waits
    await waits "$beside"
    beside=""
    summary=$(grep -E 'tests passed|tests failed' "$log" | tail -n 1)
    skipped=$(sed -n 's/^\t *[0-9]* - \(.*\) (Skipped).*/skipped: \1/p' "$log")
}

under_valgrind() {
    find build-test/gcc/tests/unit -name 'test_*' -type f -executable -print0 | xargs -0 -n 1 -P "$jobs" \
        valgrind -q --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite
}

# What takes hours, or other processors: each with the length that docs/testing.md names.
take_long() {
    phase "build: clang" build clang -DCMAKE_C_COMPILER=clang && phase "tests: clang" tests clang
    export BUSFERRY_SOAK_S=3600 BUSFERRY_OUTAGES=20 BUSFERRY_RESTARTS=10 BUSFERRY_CLUSTER_ROUNDS=10 BUSFERRY_FAILOVERS=10
    export BUSFERRY_HEALTHY_S=600 BUSFERRY_HOSTILE_SECONDS=300 BUSFERRY_WALKS=1500 BUSFERRY_RANDOM_HOURS=1000
    export BUSFERRY_KILLS=10000 BUSFERRY_POWER_CUTS=100000 BUSFERRY_DAMAGED_FILES=100000 BUSFERRY_DISK_STRIDE=1
    phase "long: clang-tidy with all of its budget" bash tests/structure/tidy.sh build-test/asan all
    phase "long: build libFuzzer" build_fuzz &&
        for name in $FUZZED; do
            phase "long: any bytes for $name, 120 s" fuzz "$name" 120
        done
    phase "long: soak, outages, brokers, cluster, crashes" tests gcc --timeout 14400 \
        -R 'soak|outages|broker|cluster|network|healthy|hostile|walk|frame_find|crash'
    packages_need valgrind && phase "long: unit tests under valgrind" under_valgrind
    packages_need "$PACKAGES_BROWSER" && phase "long: the status page in a browser" tests gcc -R page_browser
    # shellcheck disable=SC2086  # words are wanted
    packages_need $PACKAGES_PACKAGE $PACKAGES_MACHINE &&
        phase "long: packages, other processors, whole machines" build gcc -DBUSFERRY_PACKAGE_TESTS=ON &&
        phase "long: packages of three architectures" tests gcc -L package
}

phase "structure: floors, doors, names" bash tests/structure/laws.sh
phase "structure: no field is forgotten when the map is read again" bash tests/structure/plan_diff.sh
phase "structure: format" bash tests/structure/format.sh
if [ "$what" = quick ]; then
    phase "build: gcc" build gcc -DCMAKE_C_COMPILER=gcc && gcc_tests
else
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/tsan.supp
    phase "build: gcc" build gcc -DCMAKE_C_COMPILER=gcc
    set -m # a process group of its own
    (chrt --idle -p 0 $BASHPID >/dev/null 2>&1 || renice -n 19 -p $BASHPID >/dev/null 2>&1; analyse) &
    chain=$!
    set +m
    wait "$fetched"
    [ "$failed" -ne 0 ] || gcc_tests
    export BUSFERRY_SOAK_S=40
    await asan "$chain"
    built=$?
    await tsan "$chain" && [ "$built" -eq 0 ] && {
        at_once=$((2 * jobs - 1))
        beside tsan-tests "tests: thread sanitizer" tests tsan -LE '^(map|docs|single|cluster|rows)$'
        phase "tests: address and undefined sanitizers" tests asan -LE 'outages|cluster|rows'
        await tsan-tests "$beside"
        beside="" at_once=""
    }
    if packages_possible; then
        await package "$chain"
    else
        echo "SKIPPED package: no root here, or none that may mount"
    fi
    for key in cppcheck tidy; do await "$key" "$chain"; done
    chain=""
    [ "$what" != long ] || take_long
fi
if [ "$failed" -ne 0 ]; then
    echo "something FAILED, see above"
    exit 1
fi
echo "${summary:-}"
[ -z "${skipped:-}" ] || echo "$skipped"
echo "all phases passed"
