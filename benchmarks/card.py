"""Writes the model card into a checkpoint's folder, from what the checkpoint and the results say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from harness import RESULTS, console
from orrery.atomic import write_atomically
from orrery.checkpoint import checkpoint_hash, load_checkpoint
from orrery.registry import resolve_model
from table import newest, table

ANEW = ("video_tokenizer", "audio_tokenizer")
"""Stages that a run does from the start, if it does them."""


@dataclass
class Settings:
    """model: a shipped model's name, or the folder of a checkpoint. results: folder of JSON files. history:
    Markdown on what happened in this one's training that its recipe does not tell, if anything did."""

    model: str = "tabletop"
    results: Path = RESULTS
    history: Path | None = None


def stage_minutes(made: dict[str, Any]) -> dict[str, float]:
    """Minutes of training by stage, those of the checkpoint it was started from included: what was trained
    further adds up, what was trained anew counts once."""
    here = made["minutes"]
    earlier = stage_minutes(made["started_from"]) if "started_from" in made else {}
    return {
        name: here.get(name, 0.0) + (0.0 if name in here and name in ANEW else earlier.get(name, 0.0))
        for name in {**earlier, **here}
    }


def card(config: dict[str, Any], digest: str, megabytes: float, figures: str, history: str) -> str:
    """The card in Markdown."""
    made = config["provenance"]
    minutes = stage_minutes(made)
    data = "\n".join(
        f"- {part['episodes']} episodes of `{part['collect']['world']}`, {part['collect']['seconds']} s, "
        f"seed {part['collect']['seed']}, streams: {', '.join(part['collect']['streams'] or ['all'])} "
        f"{'under ' + part['collect']['policy'] + ' ' if 'policy' in part['collect'] else ''}"
        f"(hash `{part['hash'][:12]}`)"
        for part in made["data"]
    )
    stages = "\n".join(f"| {name} | {time:.1f} |" for name, time in minutes.items())
    losses = ", ".join(f"{name} {value:.3f}" for name, value in sorted(made["held_out_losses"].items()))
    return f"""# Model card: {made["recipe"]}

A world model of one tray on a table: from a sentence it imagines video, stereo sound, touch and the poses of
things, tick by tick. What it reads off a first picture stands in the table below.
Checkpoint `{digest[:12]}`, {megabytes:.1f} MB, Apache-2.0.

## How it was made

Recipe `{made["recipe"]}`, seed {made["seed"]}, code `{made["commit"][:12]}`, on {made["device"]};
that code holds every stage. Minutes are wall clock, whatever else the machine did.

| stage | minutes |
|---|---|
{stages}
| all | {sum(minutes.values()):.0f} |

Data, all from the exact world, as `orrery collect` makes them with these settings:

{data}

Losses on episodes that were kept apart: {losses}.

{history}## What it is for, and what not

Short films of one to three balls, boxes and cylinders on this tray, seen by its three standing cameras, and
research on small world models. It knows no other world, no other sounds and no people. Films of it are not
evidence of how anything behaves: the table says how far its physics is from the simulator's.

## Measured

{figures}
"""


def main(settings: Settings) -> None:
    folder = resolve_model(settings.model)
    history = "" if settings.history is None else settings.history.read_text("utf-8").strip() + "\n\n"
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    config = load_checkpoint(folder).config
    text = card(config, checkpoint_hash(folder), size, table(newest(settings.results)), history)
    write_atomically(folder / "card.md", text.encode())
    console.print(f"{folder / 'card.md'}: written")


if __name__ == "__main__":
    main(tyro.cli(Settings))
