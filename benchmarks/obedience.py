"""The sentence is obeyed: 100 held-out prompts, judged on pixels by a classical detector.

Colours are right when exactly the named colours are seen, each as often as named; everything is right when
the same holds for pairs of colour and shape. The states that the world itself holds are judged beside its
pictures. The detector's own score on exact films of the same sentences and seeds is the floor: what it loses
there, it loses to one thing hiding another and to its own mistakes. Where a model loses is told by what is
seen of its own states once the exact world's renderer has drawn them, of the exact films after its tokenizer
alone, and of its own pictures of their states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro

from harness import EXACT, Subject, floors, frames_of, progress, save, show, ticks_of
from orrery.evaluation.detect import detect
from orrery.evaluation.names import objects_named
from orrery.evaluation.prompts import HeldOutPrompt, held_out_prompts
from orrery.evaluation.statistics import share
from orrery.inference.checkpoints import load_model
from orrery.registry import resolve_model
from orrery.worlds.tabletop.render import draw_states
from orrery.worlds.tabletop.scene import CAMERAS


@dataclass
class Settings:
    """model: folder of a checkpoint, or `exact`. num_prompts: how many of the 100. seconds: of each film."""

    model: str = "exact"
    num_prompts: int = 100
    seconds: float = 1.5


def judged(subject: Subject, prompts: tuple[HeldOutPrompt, ...], seconds: float) -> dict[str, Any]:
    """The scores of one world, with what went wrong in each sentence that was not obeyed."""
    world = subject.open(["video.main", "state"])
    num_ticks = world.spec.clock.num_ticks(seconds)
    colours = everything = held = named = found = redrawn = 0
    failures = []
    for prompt in progress(prompts, f"{subject.model}: films"):
        ticks = list(ticks_of(world, prompt.seed, num_ticks, prompt=prompt.text))
        seen = detect(frames_of(ticks, "video.main"), prompt.request.camera)
        right = seen.names == prompt.objects
        colours += seen.colours == prompt.colours
        everything += right
        states = frames_of(ticks, "state")
        held += objects_named(states) == prompt.objects
        if not subject.is_exact:
            again = detect(draw_states(states, CAMERAS[seen.camera]), seen.camera)
            redrawn += again.names == prompt.objects
        named += prompt.colours.total()
        found += (prompt.colours & seen.colours).total()
        if not right:
            failures.append({"prompt": prompt.text, "seed": prompt.seed, "seen": _named(seen.names)})
    figures = {
        "colours_right": share(colours, len(prompts)),
        "everything_right": share(everything, len(prompts)),
        "named_colours_found": share(found, named),
        "states_right": share(held, len(prompts)),
        "failures": failures,
    }
    if not subject.is_exact:
        figures["everything_right_when"] = {"its states, drawn exactly": share(redrawn, len(prompts))}
    return figures


def drawn(subject: Subject, prompts: tuple[HeldOutPrompt, ...], seconds: float) -> dict[str, Any]:
    """How often everything is right in the sentences' exact films once the model's tokenizer has encoded
    and decoded them, and in the model's own pictures where it is told every exact state."""
    exact, world = Subject(EXACT).open(), subject.open()
    tokenizer = load_model(resolve_model(subject.model)).video
    num_ticks = exact.spec.clock.num_ticks(seconds)
    right = {"exact films, after its tokenizer": 0, "exact states, as it draws them": 0}
    for prompt in progress(prompts, "exact states, drawn"):
        ticks = list(ticks_of(exact, prompt.seed, num_ticks, prompt=prompt.text))
        given = {n: np.stack([t[n][0] for t in ticks])[None] for n in exact.spec.streams if n != "video.main"}
        again = list(ticks_of(world, prompt.seed, num_ticks, given["action"][0], given=given))
        with torch.inference_mode():
            frames = torch.from_numpy(frames_of(ticks, "video.main"))[None]
            decoded = tokenizer.decode(tokenizer.encode(frames))[0].numpy()
        for name, frames in zip(right, (decoded, frames_of(again, "video.main")), strict=True):
            right[name] += detect(frames, prompt.request.camera).names == prompt.objects
    return {name: share(count, len(prompts)) for name, count in right.items()}


def _named(names: Any) -> list[str]:
    return [" ".join(name) for name in sorted(names.elements())]


def main(settings: Settings) -> None:
    subject = Subject(settings.model)
    prompts = held_out_prompts()[: settings.num_prompts]
    figures = floors(subject, lambda world: judged(world, prompts, settings.seconds))
    score, floor = figures.get("figures", figures["exact"]), figures["exact"]
    if not subject.is_exact:
        score["everything_right_when"] |= drawn(subject, prompts, settings.seconds)
    told = score.get("everything_right_when", {})
    show(
        f"Sentences obeyed, {len(prompts)} held-out prompts",
        ["per cent (95 % interval)", subject.model, "exact", "bar"],
        [
            ["all named colours, and no other", score["colours_right"], floor["colours_right"], ">= 90"],
            [
                "all named colours, shapes, counts",
                score["everything_right"],
                floor["everything_right"],
                ">= 75",
            ],
            [
                "named objects whose colour is seen",
                score["named_colours_found"],
                floor["named_colours_found"],
                "",
            ],
            ["all of them in the world's own state", score["states_right"], floor["states_right"], ""],
            *([f"all in the picture: {name}", value, "", ""] for name, value in told.items()),
        ],
    )
    save("obedience", subject, figures, seed=prompts[0].seed)


if __name__ == "__main__":
    main(tyro.cli(Settings))
