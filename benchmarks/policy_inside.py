"""Policies trained inside of a learned world alone, and what they are worth in the real one.

    python benchmarks/policy_inside.py --out RUN [--environment CartPole-v1] [--minutes 6] [--seeds 3]

Records random play, trains a world on it, and in that world a stock PPO (stable-baselines3), with its stock
settings, that never sees the real environment. Then each policy plays in both. Beside the returns stand the
errors of the world: of one step on episodes that it has not seen, and of `horizon` steps along what the
policies really did.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro

from harness import Subject, console, save, show
from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.inference.imagined import ImaginedWorld, load_world
from orrery.registry import resolve_model
from orrery.streams import Array
from orrery.training.prepare import Episodes
from orrery.training.recipe import sized_recipe
from orrery.training.train import train
from orrery.worlds.gymnasium.environment import WorldSpaces, terminations_of

SEED = 0
BATCH = 256
CONTEXT = 2
"""Real ticks before the one that is imagined: where things are, and how they move."""


@dataclass
class Settings:
    """out: folder of the run; one that is there is measured as it is. environment: id of one with numbers as
    its observation. episodes: of random play. minutes: of training. seeds: policies. steps: each of them is
    trained for. trials: episodes that each of them plays in the real environment."""

    out: Path
    environment: str = "CartPole-v1"
    episodes: int = 400
    minutes: float = 6.0
    seeds: int = 3
    steps: int = 60_000
    trials: int = 100
    trials_inside: int = 20
    horizon: int = 50


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    trained = learn(settings)
    data = Dataset(settings.out / "data")
    figures: dict[str, Any] = {
        "environment": settings.environment,
        "data": {"episodes": len(data), "ticks": sum(data.num_ticks(index) for index in data.readable)},
        "training": trained,
        "one_step": one_step(settings, data),
        "step_ms": {str(n): step_milliseconds(settings.out, n) for n in (1, 16)},
    }
    figures["policies"] = [policy(settings, seed) for seed in range(settings.seeds)]
    figures["outside"] = float(np.mean([p["outside"]["mean"] for p in figures["policies"]]))
    report(figures)
    save(f"policy_inside-{settings.environment}", Subject(str(resolve_model(settings.out))), figures, SEED)


def learn(settings: Settings) -> dict[str, Any]:
    """Record and train, where that was not done; what it took."""
    out = settings.out
    streams = ["observation", "action", "reward", "terminated"]
    collect(
        f"gym:{settings.environment}", out / "data", settings.episodes, SEED, streams=streams,
        seconds=60.0, progress=console.is_terminal,
    )  # fmt: skip
    if not (out / "checkpoint").exists():
        data = Dataset(out / "data")
        wall, cpu = time.monotonic(), time.process_time()
        train(data, sized_recipe(data.spec, minutes=settings.minutes), out, SEED)
        took = {"minutes": (time.monotonic() - wall) / 60, "core_minutes": (time.process_time() - cpu) / 60}
        console.print(f"trained in {took['minutes']:.1f} minutes, {took['core_minutes']:.1f} of a core")
        return took
    return {}


# ---- the world's errors ------------------------------------------------------------------------------------


def one_step(settings: Settings, data: Dataset) -> dict[str, Any]:
    """Of held-out ticks, from the two ticks before: errors of every number of the observation, over the
    spread of its change, and of the ending how many were called (recall) and rightly so (precision)."""
    recipe = sized_recipe(data.spec, steps=1)
    windows: dict[str, list[Array]] = {name: [] for name in ("observation", "action", "terminated")}
    held_out = Episodes.of(data, recipe).held_out
    for index in held_out:
        episode = data.load(index, list(windows))
        for first in range(data.num_ticks(index) - CONTEXT):
            for name, rows in windows.items():
                rows.append(episode[name][first : first + CONTEXT + 1])
    real = {name: np.stack(rows) for name, rows in windows.items()}
    made: dict[str, list[Array]] = {"observation": [], "terminated": []}
    for first in range(0, len(real["action"]), BATCH):
        some = {name: rows[first : first + BATCH] for name, rows in real.items()}
        world = load_world(resolve_model(settings.out), len(some["action"]))
        tick = imagined(world, some["observation"][:, :CONTEXT], some["action"])[-1]
        for name, rows in made.items():
            rows.append(tick[name])
    observed, ended = np.concatenate(made["observation"]), terminations(np.concatenate(made["terminated"]))
    truly = terminations(real["terminated"][:, -1])
    return {
        "ticks": len(truly),
        "error_over_change": error_over_change(observed, real["observation"][:, -2:]),
        "endings": int(truly.sum()),
        "recall": float((ended & truly).sum() / max(truly.sum(), 1)),
        "precision": float((ended & truly).sum() / max(ended.sum(), 1)),
    }


def error_over_change(made: Array, real: Array) -> list[float]:
    """Root mean square error of every number over the standard deviation of its true change. real: the tick
    before, and the one that was to be made, `[N, 2, *shape]`."""
    count = len(made)
    error = (made - real[:, 1]).reshape(count, -1)
    spread = (real[:, 1] - real[:, 0]).reshape(count, -1).std(0)
    return (np.sqrt(np.square(error).mean(0)) / np.maximum(spread, 1e-12)).tolist()


def imagined(world: ImaginedWorld, given: Array, actions: Array) -> list[dict[str, Array]]:
    """All ticks under `actions` `[B, T, *shape]`, of which the first are given as they were,
    `[B, ticks, *shape]`."""
    ticks = [world.reset(SEED, given={"observation": given, "action": actions[:, :1]})]
    return ticks + [world.step(actions[:, k]) for k in range(1, actions.shape[1])]


def terminations(values: Array) -> Array:
    return terminations_of({"terminated": values}, len(values))


def step_milliseconds(out: Path, num_envs: int, num: int = 200) -> dict[str, float]:
    """Of the vector environment: by the clock, and of the core, which other work slows less."""
    env = gymnasium.make_vec("orrery/imagined", num_envs, checkpoint=out)
    env.reset(seed=SEED)
    actions = [env.action_space.sample() for _ in range(num)]
    for action in actions[:40]:
        env.step(action)
    wall, cpu = time.perf_counter(), time.process_time()
    for action in actions:
        env.step(action)
    return {
        "wall": 1e3 * (time.perf_counter() - wall) / num,
        "core": 1e3 * (time.process_time() - cpu) / num,
    }


# ---- the policies ------------------------------------------------------------------------------------------


def policy(settings: Settings, seed: int) -> dict[str, Any]:
    """Train one inside; its returns inside and outside, and the world's error along what it does outside."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    inside = gymnasium.make("orrery/imagined", checkpoint=settings.out)
    started = time.monotonic()
    model = PPO("MlpPolicy", inside, seed=seed, device="cpu")
    model.learn(settings.steps, progress_bar=False)
    minutes = (time.monotonic() - started) / 60
    model.save(settings.out / f"policy_{seed}")
    outside = gymnasium.make(settings.environment)
    figures: dict[str, Any] = {"seed": seed, "minutes": minutes}
    for name, env, trials in (
        ("inside", inside, settings.trials_inside),
        ("outside", outside, settings.trials),
    ):
        env.reset(seed=10_000 + seed)
        returns, _ = evaluate_policy(model, _monitored(env), trials, return_episode_rewards=True)
        assert isinstance(returns, list)
        figures[name] = {"mean": float(np.mean(returns)), "worst": float(np.min(returns)), "trials": trials}
    figures["along"] = along(settings, model, seed)
    console.print(
        f"seed {seed}: {figures['inside']['mean']:.1f} inside, {figures['outside']['mean']:.1f} outside, "
        f"{minutes:.1f} minutes"
    )
    return figures


def _monitored(env: Any) -> Any:
    from stable_baselines3.common.monitor import Monitor

    return Monitor(env)


def along(settings: Settings, model: Any, seed: int, num: int = 16) -> dict[str, Any]:
    """Errors after `horizon` steps of the real environment under the policy, which tries a tenth of its
    actions at random, imagined under the same actions from the first two ticks."""
    env = gymnasium.make(settings.environment)
    spaces = WorldSpaces(load_world(resolve_model(settings.out)).spec)
    rng = np.random.default_rng(seed)
    observations, actions = [], []
    for _ in range(4 * num):
        observed, _ = env.reset(seed=int(rng.integers(2**31)))
        seen, done = [observed], [env.action_space.sample()]
        for _ in range(settings.horizon + CONTEXT - 1):
            action = model.predict(observed, deterministic=True)[0]
            action = env.action_space.sample() if rng.random() < 0.1 else action
            observed, _, terminated, truncated, _ = env.step(action)
            seen.append(observed)
            done.append(action)
            if terminated or truncated:
                break
        if len(seen) == settings.horizon + CONTEXT:
            observations.append(np.stack(seen).reshape(len(seen), 1, -1))
            actions.append(spaces.action(np.stack(done))["action"])
        if len(observations) == num:
            break
    if not observations:
        return {"steps": settings.horizon, "error": None, "error_over_spread": None}
    real = np.stack(observations).astype(np.float32)
    world = load_world(resolve_model(settings.out), len(real))
    last = imagined(world, real[:, :CONTEXT], np.stack(actions))[-1]["observation"]
    spread = real.reshape(-1, real.shape[-1]).std(0)
    error = np.sqrt(np.square(last - real[:, -1]).reshape(len(real), -1).mean(0))
    return {
        "steps": settings.horizon,
        "error": error.tolist(),
        "error_over_spread": (error / spread).tolist(),
    }


def report(figures: dict[str, Any]) -> None:
    one = figures["one_step"]
    errors = ", ".join(f"{100 * e:.2f} %" for e in one["error_over_change"])
    console.print(f"one step: errors over the change's spread {errors}")
    console.print(
        f"endings: recall {one['recall']:.3f}, precision {one['precision']:.3f} of {one['endings']}"
    )
    rows = [
        [str(p["seed"]), p["inside"]["mean"], p["outside"]["mean"], p["outside"]["worst"], p["minutes"]]
        for p in figures["policies"]
    ]
    columns = ["seed", "return inside", "return outside", "worst outside", "minutes"]
    show(f"PPO trained inside: {figures['environment']}", columns, rows)
    for number, took in figures["step_ms"].items():
        console.print(f"{number} worlds: {took['wall']:.2f} ms a step, {took['core']:.2f} of a core")


if __name__ == "__main__":
    main(tyro.cli(Settings))
