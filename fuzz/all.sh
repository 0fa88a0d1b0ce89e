#!/bin/sh
# Runs every fuzz target for its share of MINUTES of processor time (60 unless told), one after another, and prints a
# table of figures. Corpora grow in fuzz/corpus; what fails is kept in fuzz/artifacts.
#
#     fuzz/all.sh [MINUTES]
set -eu
cd "$(dirname "$0")"
minutes=${1:-60}
cargo +nightly fuzz build -s none --fuzz-dir . >&2
built=target/$(rustc -vV | sed -n 's/^host: //p')/release
# Readers of files get theirs from memory.
if [ -z "${TMPDIR:-}" ] && [ -d /dev/shm ]; then export TMPDIR=/dev/shm; fi

# Puts the processor seconds of this shell's children into `used`. In a pipe they would be another shell's.
measure() {
    times > log/times.txt
    used=$(tail -1 log/times.txt | sed 's/[ms]/ /g' | awk '{ print int(60 * $1 + $2 + 60 * $3 + $4) }')
}
mkdir -p log

echo "| target | seconds | executions | edges | features | corpus | failures |"
echo "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
# Shares of sixty minutes, in seconds.
while read -r target share more; do
    mkdir -p "corpus/$target" artifacts
    log=log/$target.txt
    : > "$log"
    measure
    begin=$used
    end=$((begin + share * minutes / 60))
    started=$(date +%s)
    # In pieces: on a busy machine time on the clock says little, so it only ends what would never end.
    while [ "$used" -lt "$end" ] && [ $(($(date +%s) - started)) -lt $((8 * share * minutes / 60 + 60)) ]; do
        left=$((end - used))
        "$built/$target" -max_total_time=$((left < 300 ? left + 1 : 300)) -rss_limit_mb=2048 -timeout=20 \
            -print_final_stats=1 -artifact_prefix="artifacts/$target-" \
            "corpus/$target" "../tests/fuzz/seeds/$target" $more >> "$log" 2>&1 || true
        measure
    done
    awk -v target="$target" -v seconds=$((used - begin)) -v corpus="$(ls "corpus/$target" | wc -l)" \
        -v failures="$(find artifacts -name "$target-*" | wc -l)" '
        /stat::number_of_executed_units/ { runs += $2 }
        / cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "ft:") ft = $(i + 1) } }
        END { print "| " target " | " seconds " | " runs + 0 " | " cov " | " ft " | " corpus " | " failures " |" }
    ' "$log"
done <<'TARGETS'
picture 900 ../tests/data/images ../tests/data/wide
jpeg 300
pickle 360 ../tests/data/torch
archive 300 ../tests/data/torch
adapters 300 ../tests/data/torch
model 300
safetensors 240
tokenizer 180
tokenizer_json 180
prompts 90 ../prompts
results 60
journal 60
worker 60
metadata 60
registry 60
shards 60
threshold 60
training_state 60
TARGETS
