#!/usr/bin/env bash
# The tabletop, seen from close by: 128 x 128 pixels, sound, touch, state, tracks and a sentence, two frames a tick (12
# a second), 83 minutes in 1,000 scenes. Recording takes about 2.5 s an episode and core.
exec "$(dirname "${BASH_SOURCE[0]}")/learned_world.sh" tabletop-close 75 -- tabletop:close \
    --episodes 1000 --seconds 5 --image-size 128 --seed 1 --policy runs/tabletop/policy.py:ScriptOrWander
