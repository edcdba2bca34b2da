#!/usr/bin/env bash
# The tabletop, seen from close by: 128 x 128 pixels, sound, touch, state, tracks and a sentence, two frames a tick
# (12 a second), 83 minutes in 1,000 scenes; recording takes about 2 s an episode and core. Beside them the first two
# ticks of 20,000 scenes, without pictures and sound (0.02 s each), for what their sentences say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
make --no-print-directory .venv/.dev
export OMP_NUM_THREADS=1
policy=runs/tabletop/policy.py:ScriptOrWander
.venv/bin/orrery collect tabletop:close --episodes 20000 --seconds 0.1 --seed 2 --policy "$policy" --workers "$(nproc)" \
    --streams state tracks.main camera.main touch.finger action --out work/tabletop-close/scenes
exec runs/learned_world.sh tabletop-close 105 --more-data work/tabletop-close/scenes -- tabletop:close \
    --episodes 1000 --seconds 5 --image-size 128 --seed 1 --policy "$policy"
