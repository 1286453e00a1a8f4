#!/usr/bin/env bash
# clang-tidy over all of our C, with the compile commands of a build folder.  The analyzer's budget for a function is
# that of its own shallow mode: a third of the time, and it has found the same.
cd "$(dirname "$0")/../.." || exit 1
find src drivers -name '*.c' -print0 | xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p "${1:-build}" \
    --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=75000 2>&1 |
    grep -vE '^[0-9]+ warnings? generated\.$'
exit "${PIPESTATUS[1]}"
