#!/usr/bin/env bash
# Builds and tests everything: installs what is missing, quiet about what is fine, clear about what is not.
#
#   ./test.sh          all of it
#   ./test.sh quick    one build with gcc, and its tests
#
# The builds are kept in build-test/, so a second run is faster.
set -u
cd "$(dirname "$0")" || exit 1
what="${1:-all}"
case "$what" in all|quick) ;; *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 64 ;; esac

# shellcheck source=tests/packages.sh
. tests/packages.sh
# shellcheck disable=SC2086  # words are wanted
packages_need $PACKAGES_BUILD $PACKAGES_BROKER $PACKAGES_TEST || exit 1
if [ "$what" = all ]; then
    # shellcheck disable=SC2086  # words are wanted
    packages_need $PACKAGES_ROWS || echo "tests with the brokers that are missing are skipped" >&2
    aedes_need build-test/aedes
fi

jobs=$(nproc)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0

phase() { # NAME COMMAND...: runs it silently, shows its output if it fails
    name="$1"; shift
    start=$SECONDS
    if "$@" >"$log" 2>&1; then
        printf 'ok      %-46s %4d s\n' "$name" $((SECONDS - start))
        sed -n 's/^.*Test *#[0-9]*: \([^ ]*\) .*\*\*\*Skipped.*/SKIPPED \1/p' "$log"
    else
        printf 'FAILED  %-46s %4d s\n' "$name" $((SECONDS - start))
        tail -n 120 "$log"
        failed=1
        return 1
    fi
}

build() { # FOLDER OPTIONS...
    folder="build-test/$1"; shift
    cmake -S . -B "$folder" -G Ninja -DBUSFERRY_WERROR=ON -DBUSFERRY_TESTS=ON "$@" && cmake --build "$folder" -j "$jobs"
}

# Most tests of the whole program wait most of their time, so there are more of them at once than processors.
tests() { # FOLDER CTEST-OPTIONS...
    folder="build-test/$1"; shift
    ctest --test-dir "$folder" --output-on-failure -j $((2 * jobs)) "$@"
}

FUZZED="map text frame sml mbus iec62056 wanted"

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

phase "structure: floors, doors, names" bash tests/structure/laws.sh
phase "structure: no field is forgotten when the map is read again" bash tests/structure/plan_diff.sh
phase "structure: format" bash tests/structure/format.sh
phase "build: gcc" build gcc -DCMAKE_C_COMPILER=gcc && {
    phase "tests: gcc" tests gcc
    summary=$(grep -E 'tests passed|tests failed' "$log" | tail -n 1)
    skipped=$(sed -n 's/^\t *[0-9]* - \(.*\) (Skipped).*/skipped: \1/p' "$log")
}
if [ "$what" = all ]; then
    phase "build: clang" build clang -DCMAKE_C_COMPILER=clang && phase "tests: clang, unit" tests clang -L 'unit|map|fuzz'
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
    phase "build: address and undefined sanitizers" build asan -DBUSFERRY_SANITIZE=address &&
        phase "tests: address and undefined sanitizers" tests asan -LE 'outages|cluster|rows'
    phase "build: libFuzzer" build_fuzz && for name in $FUZZED; do
        seconds=$([ "$name" = map ] && echo 40 || echo 10)
        phase "fuzz: any bytes for $name, $seconds s" fuzz "$name" "$seconds"
    done
    # What has one thread only has nothing to show here.
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/tsan.supp
    phase "build: thread sanitizer" build tsan -DBUSFERRY_SANITIZE=thread &&
        phase "tests: thread sanitizer" tests tsan -LE '^(map|docs|fuzz|alone|cluster|rows)$' \
            -E '^unit/(frame|text|sml|mbus|iec62056|check|decode|profile|stream_contract|listener|map)|^scenario/(sdk|profiles)$'
    if packages_possible; then
        phase "package: made, installed, upgraded, removed" bash tests/package/test_package.sh
    else
        echo "SKIPPED package: no root here, or none that may mount"
    fi
    phase "analysis: cppcheck" bash tests/structure/cppcheck.sh
    phase "analysis: clang-tidy" bash tests/structure/tidy.sh build-test/clang
fi
if [ "$failed" -ne 0 ]; then
    echo "something FAILED, see above"
    exit 1
fi
echo "${summary:-}"
[ -z "${skipped:-}" ] || echo "$skipped"
echo "all phases passed"
