#!/usr/bin/env bash
# CarRacing: four frames a tick (12.5 a second), 96 x 96 pixels, from behind the zoom on, 33 minutes of driving.
exec "$(dirname "${BASH_SOURCE[0]}")/learned_world.sh" racing 75 --sampling-steps 6 -- "gym:CarRacing-v3?repeat=4&warmup=50" \
    --episodes 100 --seconds 20 --image-size 96 --seed 1 --policy runs/racing/policy.py:FollowRoad
