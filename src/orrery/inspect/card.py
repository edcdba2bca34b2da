"""The card of a checkpoint: what it is, how it was made, what was measured; written by this and by nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orrery.evaluation.rollout import Rollouts
from orrery.inspect.run_page import figure_rows
from orrery.models.trained import TrainedWorld, save_world

__all__ = ["card_text", "write_card"]


def write_card(
    folder: Path, world: TrainedWorld, rollouts: Rollouts, bars: Sequence[Mapping[str, Any]] = ()
) -> Path:
    """Put figures and a card into the checkpoint `folder`. bars: what was asked of this world besides, each
    with `what`, `value`, `asked` and whether it `passes` (None where that could not be measured)."""
    provenance = {**world.provenance, "rollouts": rollouts.to_json(), "bars": list(bars)}
    return save_world(folder, replace(world, provenance=provenance), card_text(world, rollouts, bars))


def card_text(world: TrainedWorld, rollouts: Rollouts, bars: Sequence[Mapping[str, Any]] = ()) -> str:
    """The card, as Markdown; `bars` as in `write_card`."""
    made = world.provenance
    environment = world.spec.environment.get("id", "")
    name = environment or made["data"]["collect"].get("world", "a world")
    num = sum(p.numel() for p in world.model.parameters())
    num += sum(p.numel() for t in world.tokenizers.values() for p in t.parameters())
    streams = [f"| {s.name} | {s.kind} | {s.role} | {list(s.shape)} |" for s in world.spec.streams.values()]
    rows = ["| " + " | ".join(row) + " |" for row in figure_rows(rollouts)]
    minutes = ", ".join(f"{stage} {value:.1f}" for stage, value in made["minutes"].items())
    lines = [
        f"# A learned world of {name}", "",
        f"{num / 1e6:.1f} million parameters, learned from {made['data']['episodes']} episodes "
        f"({_collected(made['data']['collect'])}){_more(made.get('more_data'))}.", "",
        "| stream | kind | role | a tick |", "|---|---|---|---|", *streams, "",
        f"One tick is {world.spec.clock.tick_seconds:.4g} s.", "",
        "## Measured", "",
        f"{rollouts.num_windows} stretches of held-out episodes, {rollouts.context_ticks} real ticks of "
        "context, the same actions. Root mean square errors: of pictures in grey levels (of 255) over the "
        "pixels that change, of numbers in shares of their spread.", "",
        "| | seconds | model | copying the last frame | tokenizer alone | shuffled actions |",
        "|---|---|---|---|---|---|", *rows, "", *_asked(bars),
        "## Made by", "",
        f"`orrery train`, seed {made['seed']}, commit {made['commit'][:12] or 'unknown'}, on "
        f"{made['hardware']}, device {made.get('device', 'cpu')}, torch {made['torch']}, "
        f"{made['processes']} process(es). "
        f"Minutes: {minutes}.", "", *_skipped(made.get("skipped", {})),
        "Licence: Apache-2.0.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _asked(bars: Sequence[Mapping[str, Any]]) -> list[str]:
    verdict = {True: "met", False: "missed", None: "not measured"}
    rows = [
        f"| {bar['what']} | {'-' if bar['value'] is None else format(bar['value'], '.3g')} | {bar['asked']} "
        f"| {verdict[bar['passes']]} |"
        for bar in bars
    ]
    table = ["| against the real world | measured | asked | |", "|---|---|---|---|", *rows, ""]
    return table if rows else []


def _skipped(stages: dict[str, int]) -> list[str]:
    """How many steps were not taken, where there are any."""
    told = ", ".join(f"{stage} {num}" for stage, num in stages.items() if num)
    return [f"Steps skipped, because their gradients were not finite: {told}.", ""] if told else []


def _more(data: dict[str, Any] | None) -> str:
    if data is None:
        return ""
    return f", and numbers and sentences also from {data['episodes']} others ({_collected(data['collect'])})"


def _collected(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value}" for key, value in settings.items() if value is not None and key != "streams"
    )
