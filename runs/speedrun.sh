#!/usr/bin/env bash
# From an empty machine to a trained and measured checkpoint. Read it top to bottom: it is the whole story.
#
#   runs/speedrun.sh [WORK]        everything is made in WORK (default: work/); run it again to go on
#
# Two CPU cores should take about four hours, three of them training; a GPU, where there is one, is used for the training.
# MINUTES changes the training time of the recipe; more minutes give a better file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
WORK=${1:-work}
MINUTES=${MINUTES:-180}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

# 0. Install everything into .venv.
make --no-print-directory .venv/.dev
ORRERY=.venv/bin/orrery

# 1. Data from the exact world. 500 episodes with pictures, and 2,000 without: physics, sound and touch are
#    an order of magnitude cheaper than pictures, and they are what dynamics is learned from. In 800 more the
#    finger wanders, which shows what any action does, and not only those of a push. How things look is learned
#    from many scenes rather than from long ones: 6,706 more of 12 frames each. Each episode follows from its
#    number alone, so the number of workers changes nothing.
$ORRERY collect tabletop --out "$WORK/data/pictures" --episodes 500 --seed 1 --seconds 3.5 --workers 2
$ORRERY collect tabletop --out "$WORK/data/motion" --episodes 2000 --seed 2 --seconds 3.5 --workers 2 \
    --streams state audio.main touch.finger camera.main action
$ORRERY collect tabletop --out "$WORK/data/wandering" --episodes 800 --seed 5 --seconds 3.5 --workers 2 \
    --streams state audio.main touch.finger camera.main action --policy orrery.worlds.tabletop.wandering:wander
$ORRERY collect tabletop --out "$WORK/data/scenes" --episodes 6706 --seed 4 --seconds 0.5 --workers 2

# 2. Train. The stages, in order, each leaving its result in the run's folder:
#      video tokenizer    128x128 frames to 8x8 latents and back
#      sound tokenizer    2,000 samples to two latents and back
#      encoded            every episode through both, once (10 GB of disk: the pictures are kept beside)
#      motion             the transformer learns state, touch and language, without pictures
#      world              and goes on with pictures and sound; the decoder of pictures learns with it
#      drawing            that decoder alone, which is told what stands where, for the transformer as it is now
#    Two processes (or PROCESSES) train the transformer, each with batches of its own: one for a core is best.
$ORRERY train tabletop --data "$WORK/data" --out "$WORK/run" --minutes "$MINUTES" --resume \
    --processes "${PROCESSES:-2}"

# 3. Ship it inside the package, unless it is worse than what is there, and measure what is shipped.
runs/release.sh "$WORK/run/checkpoint"
