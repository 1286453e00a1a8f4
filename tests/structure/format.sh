#!/usr/bin/env bash
# Is all of our C as .clang-format says (version 14, Debian 12's)?
cd "$(dirname "$0")/../.." || exit 1
find src drivers tests docs -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
