#!/usr/bin/env bash
# The structural laws of docs/architecture.md that neither compiler nor linker can see:
#   floors  a file includes its own floor and those below; field, ship and sim never include each other
#   doors   each library's header is included by exactly one file
#   sdk     its headers include nothing of ours but each other
#   drivers include sdk/ only
cd "$(dirname "$0")/../.." || exit 1
failed=0
fail() { echo "$1"; failed=1; }

# What a floor must not include.
forbidden() {
    case "$1" in
        base) echo 'sdk|model|field|ship|sim|app|cli' ;;
        sdk) echo 'model|field|ship|sim|app|cli' ;;
        model) echo 'field|ship|sim|app|cli' ;;
        field) echo 'ship|sim|app|cli' ;;
        ship) echo 'field|sim|app|cli' ;;
        sim) echo 'field|ship|app|cli' ;;
        app) echo 'sim|cli' ;;
    esac
}
for floor in base sdk model field ship sim app; do
    bad=$(grep -rnE "#include \"($(forbidden $floor))/" "src/$floor") && fail "floors: $floor looks up or across:
$bad"
    bad=$(grep -rnE '#include "\.\.' "src/$floor") && fail "floors: relative include:
$bad"
done

bad=$(grep -nE '#include "' src/sdk/*.h | grep -v '"sdk/') && fail "sdk: a public header includes what is not installed:
$bad"
bad=$(grep -rnE '#include "' drivers docs --include='*.[ch]' | grep -vE '"sdk/|"[a-z0-9_]+\.h"') && fail "drivers: see more than sdk/:
$bad"

for header in modbus/modbus.h modbus.h libserialport.h mosquitto.h openssl/ssl.h libconfig.h sqlite3.h cjson/cJSON.h protobuf-c/protobuf-c.h microhttpd.h; do
    n=$(grep -rlE "#include <$header>" src drivers | wc -l)
    [ "$n" -le 1 ] || fail "doors: <$header> is included by $n files"
done

n=$(grep -rlE '#include "sparkplug\.pb-c\.h"' src drivers | wc -l)
[ "$n" -le 1 ] || fail "doors: what protobuf-c generates is included by $n files"

bad=$(grep -rnE '\btypedef struct' src drivers --include='*.[ch]') && fail "names: typedef'd struct:
$bad"
bad=$(find src drivers -name '*.[ch]' | grep -E '/(util|utils|common|helper|helpers|manager|misc)[._]') && fail "names: a room without a subject:
$bad"
bad=$(find src drivers -name '*.[ch]' -exec wc -l {} + | awk '$2 != "total" && $1 > 500 { print $2 ": " $1 " lines" }')
[ -z "$bad" ] || fail "files: over 500 lines, so two subjects:
$bad"
bad=$(grep -rnE '\b(TODO|FIXME|XXX|HACK)\b' src drivers tests --include='*.[ch]' --include='*.py') && fail "debris:
$bad"
bad=$(grep -rnE '\b(sleep|usleep|nanosleep)\(' tests/unit --include='*.c') && fail "a unit test sleeps:
$bad"

[ "$failed" -eq 0 ] && echo "structure: all laws hold"
exit "$failed"
