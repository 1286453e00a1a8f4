#!/usr/bin/env bash
# clang-tidy over all of our C, with the compile commands of a build folder.  Nearly all of its time is the analyzer's, whose budget
# for a function is here a fifteenth of its own default; the long run gives it all of that.
#
#   tidy.sh BUILD [NODES]
cd "$(dirname "$0")/../.." || exit 1
find src drivers -name '*.c' -print0 | xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p "${1:-build}" \
    --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes="${2:-15000}" 2>&1 |
    grep -vE '^[0-9]+ warnings? generated\.$'
exit "${PIPESTATUS[1]}"
