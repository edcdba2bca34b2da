#!/usr/bin/env bash
# Put a trained checkpoint in the place of the shipped one, unless the physics report finds it worse, and measure it.
#
#   runs/release.sh CHECKPOINT     where nothing is shipped yet, there is nothing to be worse than
set -euo pipefail
CHECKPOINT=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
SHIPPED=src/orrery/checkpoints/tabletop
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
make --no-print-directory .venv/.dev

if [ -d "$SHIPPED" ]; then
    .venv/bin/orrery report "$SHIPPED" "$CHECKPOINT" --guard --films 60 --rollouts 20 --long 0 --force \
        --out "$(dirname "$CHECKPOINT")/release.html"
    rm -rf "$SHIPPED"
fi
mkdir -p "$(dirname "$SHIPPED")"
cp -r "$CHECKPOINT" "$SHIPPED"
.venv/bin/python benchmarks/all.py --model tabletop
.venv/bin/python benchmarks/faults.py
.venv/bin/python benchmarks/gallery.py --model tabletop
.venv/bin/python benchmarks/table.py
.venv/bin/python benchmarks/card.py
