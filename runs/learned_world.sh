#!/usr/bin/env bash
# runs/learned_world.sh NAME MINUTES [options of `orrery train`] -- SOURCE [options of `orrery collect`]
#
# 1. installs the package, with what games need, into .venv (make)
# 2. records SOURCE into work/NAME/data
# 3. trains on it for MINUTES, with a process for each core, or PROCESSES of them: work/NAME/run
# 4. measures it against the real world and writes its card: benchmarks/learned_worlds.py
# 5. puts the checkpoint where worlds ship from: src/orrery/checkpoints/NAME
#
# A script that was stopped goes on where it was when it is run again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
name=$1 minutes=$2 processes=${PROCESSES:-$(nproc)}
shift 2
learning=()
while [[ $1 != -- ]]; do learning+=("$1") && shift; done
shift
make --no-print-directory .venv/.dev
export OMP_NUM_THREADS=1
.venv/bin/orrery collect "$@" --out "work/$name/data" --workers "$(nproc)"
.venv/bin/orrery train "work/$name/data" --out "work/$name/run" --minutes "$minutes" --processes "$processes" \
    ${learning[@]+"${learning[@]}"}
.venv/bin/python benchmarks/learned_worlds.py "$name" --checkpoint "work/$name/run/checkpoint" --data "work/$name/data" --card
rm -rf "src/orrery/checkpoints/$name"
cp -r "work/$name/run/checkpoint" "src/orrery/checkpoints/$name"
du -sh "src/orrery/checkpoints/$name"
