#!/usr/bin/env bash
# Pong with its sound: four console frames a tick (15 a second), 96 x 96 pixels, 50 minutes of play.
exec "$(dirname "${BASH_SOURCE[0]}")/learned_world.sh" pong 130 -- "gym:Pong-v5?repeat_action_probability=0" \
    --episodes 100 --seconds 30 --image-size 96 --seed 1 --policy runs/pong/policy.py:FollowBall
