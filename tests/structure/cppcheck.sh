#!/usr/bin/env bash
# cppcheck over all of our C.  The suppressions, each with its reason:
#   missingIncludeSystem  system headers are not parsed, on purpose
#   unusedFunction        a library floor has functions that only tests use, and cppcheck sees no linking
cd "$(dirname "$0")/../.." || exit 1
exec cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -j "$(nproc)" -I src \
    --enable=warning,performance,portability --suppress=missingIncludeSystem \
    -DBUSFERRY_VERSION='"x"' -DBUSFERRY_BUILD_EPOCH=1 src drivers
