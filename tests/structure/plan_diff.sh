#!/usr/bin/env bash
# Is any field of a plan forgotten when two plans are compared?  Each field of its structs must be named in
# src/app/plan_diff.c, and changed once in its test.
cd "$(dirname "$0")/../.." || exit 1
failed=0

# The fields of a struct in a header, one a line.
fields() {
    sed 's|/\*.*\*/||; s|/\*.*||' "$1" | awk -v name="$2" '
        $0 ~ "^struct " name " \\{" { inside = 1; next }
        /^};/ { inside = 0 }
        inside && /;|,$/ {
            sub(/enum \{[^}]*\}/, "enum")
            n = split($0, parts, /[,;]/)
            for (i = 1; i <= n; i++)
                if (match(parts[i], /[a-z_0-9]+[ \t]*$/)) { field = substr(parts[i], RSTART); gsub(/[ \t]/, "", field); print field }
        }'
}

# What refers to its own plan by index, and what owns the memory.
is_place() { case "$1.$2" in plan_metric.device | plan.arena) return 0 ;; esac; return 1; }

check() {
    local n=0
    for field in $(fields "$1" "$2"); do
        n=$((n + 1))
        is_place "$2" "$field" && continue
        grep -qE "(->|\.)$field\b" src/app/plan_diff.c || { echo "plan_diff.c: $2.$field is not compared"; failed=1; }
        grep -qE "\b$field\b" tests/unit/test_plan_diff.c || { echo "test_plan_diff.c: $2.$field is not tried"; failed=1; }
    done
    [ "$n" -ge "$3" ] || { echo "$2: only $n fields were found in $1"; failed=1; }
}

check src/model/plan.h plan_word 2
check src/model/plan.h plan_delivery 7
check src/model/plan.h plan_write 5
check src/model/plan.h plan_metric 36
check src/model/plan.h plan_stream 7
check src/model/plan.h plan_device 15
check src/model/plan.h plan_line 4
check src/model/plan.h plan_bus 13
check src/model/plan.h plan_endpoint 4
check src/model/plan.h plan_broker 14
check src/model/plan.h plan_buffer 8
check src/model/plan.h plan_homeassistant 1
check src/model/plan.h plan_sparkplug 4
check src/model/plan.h plan_page 4
check src/model/plan.h plan 18
check src/sdk/decode.h bf_shape 4
check src/sdk/driver.h bf_place 3
check src/sdk/driver.h bf_message_told 3
check src/sdk/key.h bf_texts 2
check src/sdk/key.h bf_scalar 4
check src/sdk/key.h bf_bytes 2
check src/sdk/key.h bf_pairs 3
[ "$failed" -eq 0 ] && echo "structure: no field of a plan is forgotten when the map is read again"
exit "$failed"
