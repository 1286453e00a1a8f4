#!/usr/bin/env bash
# clang-tidy over all of our C, with the compile commands of a build folder.  Nearly all of its time is the analyzer's, so each run
# gives that only what the last commits have touched, and a budget for a function of a fifteenth of its own default; `all` gives it
# all files and all of that.
#
#   tidy.sh BUILD [all]
cd "$(dirname "$0")/../.." || exit 1
COMMITS=20
build=${1:-build}
every=$(find src drivers -name '*.c' | sort)
if [ "${2:-}" = all ] || ! git rev-parse -q --verify "HEAD~$COMMITS" >/dev/null 2>&1; then
    deep=$every
else
    deep=$(git diff --name-only "HEAD~$COMMITS" -- src drivers | sed 's/\.h$/.c/' | sort -u | comm -12 - <(echo "$every"))
fi
nodes=15000
[ "${2:-}" != all ] || nodes=225000

tidy() { # OPTIONS... < FILES
    xargs -r -n 1 -P "$(nproc)" clang-tidy --quiet -p "$build" "$@" 2>&1 | grep -vE '^[0-9]+ warnings? generated\.$'
    return "${PIPESTATUS[0]}"
}

failed=0
comm -23 <(echo "$every") <(echo "$deep") | tidy --checks='-clang-analyzer-*' || failed=1
echo "$deep" | tidy --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg="max-nodes=$nodes" || failed=1
exit "$failed"
