"""robomimic, and what shares its layout (robosuite, LIBERO, MimicGen, Isaac Lab): groups `data/demo_N`."""

from __future__ import annotations

from typing import Any

from orrery.data.record.hdf5.files import attribute, natural, number_of
from orrery.data.record.hdf5.layouts import Layout, Stretch

__all__ = ["ROBOMIMIC"]

_NAMES = {"actions": "action", "rewards": "next.reward", "dones": "next.done"}
_WORDS = (("ep_meta", "lang"), ("problem_info", "language_instruction"))
_AGAIN = "the same actions in another form"


def _demos(file: Any) -> list[str]:
    data = file.get("data")
    there = data if hasattr(data, "keys") else ()
    return sorted((name for name in there if "actions" in there[name]), key=natural)


def _text(demo: Any) -> str:
    """What the demonstration, or all of them, are said to be."""
    for name, key in _WORDS:
        for said in (attribute(demo, name), attribute(demo.parent, name)):
            text = said.get(key) if isinstance(said, dict) else None
            if text := "".join(text) if isinstance(text, list) else text:
                return str(text).strip('"')
    return ""


def _stretches(file: Any) -> list[Stretch]:
    found = []
    for name in _demos(file):
        demo = file["data"][name]
        said, end = attribute(demo, "num_samples"), len(demo["actions"])
        is_other = isinstance(said, int) and said != end
        why = f"its num_samples is {said:,}, and it has {end:,} actions" if is_other else ""
        found.append(Stretch(f"data/{name}", 0, end, _text(demo), why))
    return found


def _feature(path: str) -> str:
    return _NAMES.get(path) or path.removeprefix("obs/").replace("/", ".")


def _rate(file: Any) -> float | None:
    return number_of(attribute(file["data"], "env_args"), "env_kwargs", "control_freq")


ROBOMIMIC = Layout(
    "robomimic",
    lambda file: bool(_demos(file)),
    _stretches,
    _feature,
    _rate,
    skipped={
        "next_obs/.*": "the observations again, a row later",
        "actions_abs|action_dict/.*": _AGAIN,
    },
)
