#!/usr/bin/env bash
# Push-T: pictures of 96 x 96 pixels and the state of agent and block, 10 ticks a second, 4.6 hours of pushing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
make --no-print-directory .venv/.dev && .ci/games
exec runs/learned_world.sh pusht 45 -- "gym:runs/pusht/environment.py:PushT-v0" \
    --episodes 1028 --seconds 16 --image-size 96 --seed 1 --policy runs/pusht/policy.py:Push
