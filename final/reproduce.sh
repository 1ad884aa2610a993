#!/usr/bin/env bash
# The whole main job: environment, data, training, inference, both blends, report.
#
#   bash final/reproduce.sh            real data in data/ and published settings, else the demo on synthetic data
#   MODELS="best-lb" bash final/reproduce.sh          fewer models
#   OUTPUT=/big/disk/moa bash final/reproduce.sh      results elsewhere
#
# Run it again after it was stopped: finished parts are kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. final/setup.sh
set_up

if [ -f data/train_features.csv ]; then
    profile=kaggle data=data
    output="${OUTPUT:-output/kaggle}"
    echo "== Real competition data found in data/: published settings. Without the CNNs 42 core hours; these need a GPU"
    echo "== (about 25 hours each, estimated). moa plan says more; MODELS=\"simple-nn-old-cv two-heads\" trains fewer."
else
    profile=demo
    output="${OUTPUT:-output/demo}"
    data="$output/data"
    echo "== No competition data in data/ (see data/README.md): this is the DEMO on SYNTHETIC data."
    echo "== Its scores say nothing about the competition; the code paths are those of the real run."
    moa data synthesize "$data" --rows "${DEMO_ROWS:-1500}" --test-rows 400
fi
read -ra models <<<"${MODELS:-all}"

moa data check "$data"
moa train "${models[@]}" --profile "$profile" --data "$data" --weights "$output/weights"
moa predict "${models[@]}" --data "$data" --weights "$output/weights" --out "$output/predictions"
for blend in best-lb best-cv; do # with fewer models, a blend may have no member among them
    moa blend apply "$blend" --data "$data" --predictions "$output/predictions" --out "$output" || [ "${MODELS:-all}" != all ]
done
if [ "${MODELS:-all}" = all ]; then # the winners' second submission had its weights searched on OOF
    moa blend search best-cv --data "$data" --predictions "$output/predictions" --weights "$output/weights" \
        --out "$output/predictions/searched.yaml"
fi
if [ "$profile" = demo ]; then # rounding differs between machines, so this may be worth a look and is no failure
    moa compare "${models[@]}" --data "$data" --weights "$output/weights" || echo "== See the table above."
fi
moa report --data "$data" --weights "$output/weights" --predictions "$output/predictions" --out "$output"

echo "== Done. In $output: $(cd "$output" && echo submission-*.csv) report.html"
