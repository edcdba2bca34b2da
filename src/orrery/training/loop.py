"""The training loop: one for tokenizers and for the world model, with one form of train state.

Everything random in a step follows from the seed, the step and the process, so that a run that was stopped
and resumed takes the very steps it would have taken.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from orrery.errors import UserError
from orrery.training import parallel
from orrery.training.optimizers import cosine, make_optimizer
from orrery.training.progress import Watch, progress

__all__ = ["LOG", "Budget", "Stage", "StepContext", "train_stage"]

SETTLED_AT = 0.5
"""Share of a budget in minutes at which the number of steps is known: by then each kind of step was taken."""
FEWEST_STEPS = 24
"""Of a budget in minutes, however few those are."""
SAVE_SECONDS = 60.0
LOG_SECONDS = 5.0
MOST_SKIPPED, FIRST_STEPS = 0.1, 100
"""Share of the steps that may be skipped, and after how many it is asked."""
STATE = "train_state.pt"
LOG = "log.jsonl"


@dataclass(frozen=True)
class Budget:
    """How long a stage trains: minutes, measured as steps once the first have shown how long one takes; or
    steps, for runs that must repeat exactly whatever the machine does."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("a budget is minutes or steps, one of the two")


@dataclass(frozen=True)
class StepContext:
    """What a step may depend on. progress: share of the stage that is done. shared: the same in all processes
    (what kind of batch to take); rng, generator: of this process."""

    step: int
    progress: float
    shared: np.random.Generator
    rng: np.random.Generator
    generator: torch.Generator


@dataclass
class Stage:
    """What is trained, and by which losses.

    module: its parameters that need gradients are trained, and their exponential moving average is what is
    left in it at the end. losses: of one batch, by name; their sum is minimised. inner: which parameters are
    matrices inside the network (Muon), not its first and last layers (AdamW). prepare, finish: called
    before the stage begins or goes on, and when it is over.
    """

    name: str
    module: nn.Module
    losses: Callable[[StepContext], dict[str, Tensor]]
    budget: Budget
    inner: Callable[[str, Tensor], bool]
    lr_matrix: float = 0.01
    lr_other: float = 1.5e-3
    weight_decay: float = 0.0
    warmup_steps: int = 40
    decay_from: float = 0.5
    ema_decay: float = 0.995
    clip_norm: float = 1.0
    prepare: Callable[[], None] = lambda: None
    finish: Callable[[], None] = lambda: None


@dataclass
class _State:
    """How far a stage is. num_steps: 0 until it is known. skipped: steps that were not taken, because their
    gradients were not finite."""

    step: int = 0
    num_steps: int = 0
    skipped: int = 0
    seconds: float = 0.0
    totals: dict[str, list[float]] = field(default_factory=dict)

    def note(self, losses: dict[str, Tensor]) -> None:
        """Add the losses of a step to those of the next line of the log."""
        for name, loss in losses.items():
            self.totals.setdefault(name, []).append(float(loss.detach()))


def train_stage(stage: Stage, folder: Path, seed: int, watch: Watch | None = None) -> dict[str, float]:
    """Train until the budget is used; go on where `folder` says that a stopped run was.

    Leaves the averaged weights in `stage.module`, a log (`LOG`) and the train state in `folder`.
    Returns the mean losses since the last line of the log but one, none for a stage that was over already.
    A step whose gradients are not finite is skipped, and counted in the log. UserError where those are more
    than a tenth, and for a train state of something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stage.prepare()
    module = stage.module
    average = {name: value.detach().clone() for name, value in module.state_dict().items()}
    optimizer = make_optimizer(
        module.named_parameters(), stage.lr_matrix, stage.lr_other, stage.weight_decay, stage.inner
    )
    state = _State(num_steps=stage.budget.steps or 0)
    _load(folder / STATE, module, average, optimizer, state)
    recent: dict[str, list[float]] = {}
    started = logged = saved = time.monotonic()
    elapsed = state.seconds
    with progress(stage.name, watch) as on_step:
        on_step(_progress(state, stage.budget, elapsed), "")
        while state.num_steps == 0 or state.step < state.num_steps:
            context = _context(seed, state, stage.budget, elapsed)
            losses = stage.losses(context)
            total = torch.stack([loss.float() for loss in losses.values()]).sum()
            optimizer.zero_grad()
            total.backward()
            elapsed = state.seconds + time.monotonic() - started
            elapsed = parallel.average_gradients(module.parameters(), elapsed)
            norm = torch.nn.utils.clip_grad_norm_(optimizer.parameters, stage.clip_norm)
            if torch.isfinite(norm):
                optimizer.set_scale(_rate(stage, state, elapsed))
                optimizer.step()
                state.note(losses)
            else:
                state.skipped += 1
            state.step += 1
            _average(average, module, state.step, stage.ema_decay)
            if state.num_steps == 0 and state.step >= FEWEST_STEPS:
                share = elapsed / (60 * (stage.budget.minutes or 1.0))
                state.num_steps = max(state.step, round(state.step / share)) if share >= SETTLED_AT else 0
            now = time.monotonic()
            if now - logged > LOG_SECONDS or state.step == state.num_steps:
                recent = _log(folder, state, elapsed)
                words = " ".join(f"{name} {np.mean(values):.3f}" for name, values in recent.items())
                on_step(_progress(state, stage.budget, elapsed), words)
                logged = now
                _refuse_to_go_on(stage, state)
            if now - saved > SAVE_SECONDS:
                _save(folder / STATE, module, average, optimizer, state, elapsed)
                saved = now
    _save(folder / STATE, module, average, optimizer, state, elapsed)
    if state.skipped and parallel.rank() == 0:
        print(f"{stage.name}: {_skipped(state)}")
    module.load_state_dict(average)
    stage.finish()
    return {name: float(np.mean(values)) for name, values in recent.items()}


def _context(seed: int, state: _State, budget: Budget, elapsed: float) -> StepContext:
    rng = np.random.default_rng([seed, state.step, 1 + parallel.rank()])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return StepContext(
        state.step,
        _progress(state, budget, elapsed),
        np.random.default_rng([seed, state.step]),
        rng,
        generator,
    )


def _progress(state: _State, budget: Budget, elapsed: float) -> float:
    if state.num_steps:
        return state.step / state.num_steps
    return min(SETTLED_AT, elapsed / (60 * (budget.minutes or 1.0)))


def _rate(stage: Stage, state: _State, elapsed: float) -> float:
    """Learning rate factor: warmup, level, then half a cosine."""
    done = _progress(state, stage.budget, elapsed)
    late = max(0.0, done - stage.decay_from) / max(1.0 - stage.decay_from, 1e-9)
    return cosine(state.step, stage.warmup_steps, 1e12) * cosine(late, 0.0, 1.0, floor=0.02)


@torch.no_grad()
def _average(average: dict[str, Tensor], module: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of weights, shorter at first."""
    keep = min(decay, step / (step + 20.0))
    values = module.state_dict()
    torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
        list(average.values()), [values[name] for name in average], 1.0 - keep
    )


def _log(folder: Path, state: _State, elapsed: float) -> dict[str, list[float]]:
    means = {name: round(float(np.mean(values)), 5) for name, values in state.totals.items()}
    row = {
        "step": state.step, "num_steps": state.num_steps, "minutes": round(elapsed / 60, 3),
        "skipped": state.skipped, **means,
    }  # fmt: skip
    if parallel.rank() == 0:
        with (folder / LOG).open("a") as file:
            file.write(json.dumps(row) + "\n")
    recent, state.totals = state.totals, {}
    return recent


def _skipped(state: _State) -> str:
    return f"{state.skipped:,} of {state.step:,} steps were skipped: their gradients were not finite"


def _refuse_to_go_on(stage: Stage, state: _State) -> None:
    """UserError where too many steps were skipped."""
    if state.step >= FIRST_STEPS and state.skipped > MOST_SKIPPED * state.step:
        raise UserError(
            f"{stage.name}: {_skipped(state)}; too many to go on. Look for values that are far out "
            "(orrery inspect DATASET), leave such a stream out with --streams, and begin anew with --restart"
        )


def _save(
    file: Path, module: nn.Module, average: dict[str, Tensor], optimizer: Any, state: _State, elapsed: float
) -> None:
    """Replace the train state in one move; the first process does it for all."""
    if parallel.rank() > 0:
        return
    values = {
        "module": module.state_dict(), "average": average, "optimizer": optimizer.state_dict(),
        "step": state.step, "num_steps": state.num_steps, "seconds": elapsed,
        "skipped": state.skipped,
    }  # fmt: skip
    unfinished = file.with_name(f"{file.name}.part")
    torch.save(values, unfinished)
    os.replace(unfinished, file)


def _load(file: Path, module: nn.Module, average: dict[str, Tensor], optimizer: Any, state: _State) -> None:
    if not file.exists():
        return
    try:
        values: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        module.load_state_dict(values["module"])
        for name, value in values["average"].items():
            average[name].copy_(value)
        optimizer.load_state_dict(values["optimizer"])
        state.step, state.num_steps, state.seconds = values["step"], values["num_steps"], values["seconds"]
        state.skipped = values.get("skipped", 0)
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{file}: not a train state of this model and data ({reason}); "
            "train with --restart to start anew, or choose another folder"
        ) from error
