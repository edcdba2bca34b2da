"""What a detector finds in imagined ticks against what it finds in real ones (W2, W3, W5).

Beside the model stand copying the last frame and the tokenizer alone: the detector's own score on real frames
that were encoded and decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orrery.evaluation.detector import Detector, Streams
from orrery.evaluation.rollout import (
    HORIZONS_SECONDS,
    Windows,
    action_streams,
    finite,
    imagine_windows,
)
from orrery.evaluation.statistics import share
from orrery.evaluation.tick_events import event_f1, onset_ticks
from orrery.inference.imagined import ImaginedWorld
from orrery.streams import Array, WorldSpec

__all__ = ["measure_amounts", "measure_counterfactual", "measure_judged", "measure_sound", "measure_things"]


def measure_things(
    detector: Detector, windows: Windows, made: Mapping[str, Streams], tick_seconds: float
) -> dict[str, Any]:
    """Of each thing and method: `there`, the share of ticks in which it is found, of those in which it really
    is; `phantom`, of those in which it is not; `apart`, the median distance where both are, by horizon.

    made: by method, after the context.
    """
    if detector.find is None:
        return {}
    truth = detector.find(windows.truth())
    found = {method: detector.find(streams) for method, streams in made.items()}
    figures: dict[str, Any] = {}
    for name, real in truth.items():
        is_real = _there(real)
        figures[name] = {"real": {"there": float(is_real.mean())}}
        for method, places in found.items():
            is_made = _there(places[name])
            apart = np.linalg.norm(places[name] - real, axis=-1)
            rows = []
            for seconds, ticks in _around_horizons(windows.horizon, tick_seconds):
                both, wanted = (is_real & is_made)[:, ticks], is_real[:, ticks].sum()
                near = apart[:, ticks][both]
                rows.append(
                    {
                        "seconds": seconds,
                        "there": float(both.sum() / wanted) if wanted else None,
                        "apart": float(np.median(near)) if len(near) else None,
                    }
                )
            figures[name][method] = {
                "there": finite(_ratio((is_made & is_real).sum(), is_real.sum())),
                "phantom": finite(_ratio((is_made & ~is_real).sum(), (~is_real).sum())),
                "by_horizon": rows,
            }
    return figures


def measure_amounts(
    detector: Detector, windows: Windows, made: Mapping[str, Streams], tick_seconds: float
) -> dict[str, Any]:
    """Of each amount: its mean over the real ticks; by method the ratio of means, over all and over each
    fifth of the rollout, and the correlation over windows by horizon."""
    if detector.amounts is None:
        return {}
    truth = detector.amounts(windows.truth())
    found = {method: detector.amounts(streams) for method, streams in made.items()}
    figures: dict[str, Any] = {}
    for name, real in truth.items():
        figures[name] = {"real": {"mean": finite(float(real.mean()))}}
        for method, values in found.items():
            parts = zip(*(np.array_split(v[name], 5, 1) for v in (truth, found[method])), strict=True)
            rows = [
                {"seconds": seconds, "correlation": finite(_correlation(real[:, t], values[name][:, t]))}
                for seconds, t in _around_horizons(windows.horizon, tick_seconds)
            ]
            figures[name][method] = {
                "ratio": finite(_ratio(values[name].mean(), real.mean())),
                "ratio_by_fifth": [finite(_ratio(b.mean(), a.mean())) for a, b in parts],
                "by_horizon": rows,
            }
    return figures


def measure_judged(
    detector: Detector, windows: Windows, made: Mapping[str, Streams], tick_seconds: float
) -> dict[str, Any]:
    """What the detector itself judges, as shares with their intervals, by figure and method."""
    if detector.judged is None:
        return {}
    judged = detector.judged(windows.truth(), windows.given(), made, tick_seconds)
    return {
        figure: {method: share(count["hits"], count["of"]) for method, count in methods.items()}
        for figure, methods in judged.items()
    }


def measure_counterfactual(world: ImaginedWorld, windows: Windows, detector: Detector) -> dict[str, Any]:
    """The share of contexts after which two courses of action end differently in the real direction."""
    if detector.counterfactual is None or detector.answered is None:
        return {}
    short = windows.until(detector.counterfactual_ticks)
    recorded = action_streams(short, world)
    courses = detector.counterfactual({name: values[:, short.context :] for name, values in recorded.items()})
    first, second = (
        imagine_windows(
            world,
            short,
            {n: np.concatenate([recorded[n][:, : short.context], v], 1) for n, v in course.items()},
        )
        for course in courses
    )
    gap = detector.answered(short.given(), first, second)
    asked = np.isfinite(gap)
    return {
        "ticks": short.horizon,
        "answered": share(int((gap[asked] > 0).sum()), int(asked.sum())),
        "wrong way": share(int((gap[asked] < 0).sum()), int(asked.sum())),
        "median gap": finite(float(np.median(gap[asked]))) if asked.any() else None,
    }


def measure_sound(
    detector: Detector | None, spec: WorldSpec, windows: Windows, made: Mapping[str, Streams]
) -> dict[str, Any]:
    """F1 within a tick of what starts to sound, by stream of sound: `imagined picture's events` and `real
    onsets` are the model's; `real picture's events` is the ceiling, the same measured on the recording."""
    figures: dict[str, Any] = {}
    context = windows.given()
    rate = spec.clock.samples_per_second

    def after(values: Array) -> Array:
        return values[:, windows.context :]

    def whole(streams: Streams) -> dict[str, Array]:
        return {n: np.concatenate([context[n], v], 1) for n, v in streams.items() if n in context}

    sees = detector.events if detector is not None else None
    real_seen = after(sees(windows.streams)) if sees is not None else None
    for stream in spec.of_kind("audio"):
        real = after(onset_ticks(windows.streams[stream.name], rate))
        rows: dict[str, Any] = {"real onsets a window": float(real.sum() / windows.num)}
        if real_seen is not None:
            rows["real picture's events"] = finite(event_f1(real_seen, real))
        for method, streams in made.items():
            if stream.name not in streams:
                continue
            label = "" if method == "model" else f", {method}"
            heard = after(onset_ticks(whole(streams)[stream.name], rate))
            rows[f"real onsets{label}"] = finite(event_f1(real, heard))
            if sees is not None:
                seen = after(sees(whole(streams)))
                rows[f"imagined picture's events{label}"] = finite(event_f1(seen, heard))
        figures[stream.name] = rows
    return figures


def _there(places: Array) -> Array:
    """`[N, T]` of `[N, T, d]`."""
    return np.asarray(np.isfinite(places).all(-1))


def _around_horizons(num_ticks: int, tick_seconds: float) -> list[tuple[float, Array]]:
    """Each horizon that is reached, with the ticks around it."""
    rows = []
    for seconds in HORIZONS_SECONDS:
        tick = round(seconds / tick_seconds) - 1
        if 0 <= tick < num_ticks:
            rows.append((seconds, np.arange(max(0, tick - 1), min(num_ticks, tick + 2))))
    return rows or [(num_ticks * tick_seconds, np.arange(num_ticks))]


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _correlation(a: Array, b: Array) -> float:
    a, b = a.ravel(), b.ravel()
    if len(a) < 3 or a.std() < 1e-9:
        return float("nan")
    return 0.0 if b.std() < 1e-9 else float(np.corrcoef(a, b)[0, 1])
