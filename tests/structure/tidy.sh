#!/usr/bin/env bash
# clang-tidy over all of our C, with the compile commands of a build folder.
cd "$(dirname "$0")/../.." || exit 1
find src drivers -name '*.c' -print0 | xargs -0 -n 8 -P "$(nproc)" clang-tidy --quiet -p "${1:-build}"
