"""Any action space has a table of keys, and numbers from a page become an action of it or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orrery.errors import BadUse
from orrery.serving.controls import action_from_numbers, control_table
from orrery.streams import Clock, StreamSpec, WorldSpec
from orrery.world import action_streams

ALE = ["NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPRIGHTFIRE"]


def choice_world(
    num: int, environment: dict[str, Any] | None = None, names: tuple[str, ...] = ("action",)
) -> WorldSpec:
    streams = [StreamSpec(name, "choice", "given", (1, 1), "int64", num_choices=num) for name in names]
    return WorldSpec(Clock(), {s.name: s for s in streams}, environment or {})


def vector_world(shape: tuple[int, ...], low: Any = -1.0, high: Any = 1.0, **environment: Any) -> WorldSpec:
    stream = StreamSpec("action", "vector", "given", shape, "float32", "m/s", low, high)
    return WorldSpec(Clock(), {"action": stream}, environment)


def keys(entry: dict[str, Any]) -> dict[str, list[list[str]]]:
    return {choice["label"]: choice["chords"] for choice in entry["choices"]}


def test_recorded_meanings_become_chords() -> None:
    (entry,) = control_table(choice_world(8, {"id": "ALE/Any-v5", "action_meanings": ALE}))
    assert entry["idle"] == 0
    assert keys(entry) == {
        "noop": [],
        "fire": [["Space"]],
        "up": [["ArrowUp"]],
        "right": [["ArrowRight"]],
        "left": [["ArrowLeft"]],
        "down": [["ArrowDown"]],
        "upright": [["ArrowUp", "ArrowRight"]],
        "uprightfire": [["ArrowUp", "ArrowRight", "Space"]],
    }


def test_pong_goes_up_and_down_too() -> None:
    meanings = ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]
    (entry,) = control_table(choice_world(6, {"id": "ALE/Pong-v5", "action_meanings": meanings}))
    assert keys(entry)["right"] == [["ArrowRight"], ["ArrowUp"]]
    assert keys(entry)["leftfire"] == [["ArrowLeft", "Space"], ["ArrowDown", "Space"]]


def test_documented_environments_are_known_by_their_id() -> None:
    (entry,) = control_table(choice_world(2, {"id": "CartPole-v1"}))
    assert keys(entry) == {"push left": [["ArrowLeft"]], "push right": [["ArrowRight"]]}
    assert entry["idle"] is None
    (entry,) = control_table(choice_world(7, {"id": "MiniGrid-Empty-5x5-v0"}))
    assert keys(entry)["pickup"] == [["KeyP"]]
    assert keys(entry)["done"] == [["Digit1"]]


@pytest.mark.parametrize("num", [1, 2, 3, 4, 5, 9, 18, 60])
def test_unknown_choices_have_keys_of_their_own(num: int) -> None:
    (entry,) = control_table(choice_world(num))
    chords = [chord for choice in entry["choices"] for chord in map(tuple, choice["chords"])]
    assert len(chords) == len(set(chords)) >= min(num, 30)
    assert len(entry["choices"]) == num


def test_meanings_of_another_number_of_choices_are_not_believed() -> None:
    (entry,) = control_table(choice_world(3, {"id": "CartPole-v1"}))
    assert keys(entry)["choice 0"] == [["Digit1"]]


def test_several_choices_are_listed_each() -> None:
    table = control_table(choice_world(3, names=("action.0", "action.1")))
    assert [entry["name"] for entry in table] == ["action.0", "action.1"]
    chords = [tuple(chord) for entry in table for choice in entry["choices"] for chord in choice["chords"]]
    assert len(chords) == len(set(chords))


def test_numbers_have_bounds_and_a_rest() -> None:
    (entry,) = control_table(vector_world((2, 3), -0.5, 0.5), "tabletop")
    assert [axis["label"] for axis in entry["axes"]] == ["finger right", "finger away", "finger up"]
    assert entry["axes"][2] == {
        "label": "finger up", "low": -0.5, "high": 0.5, "rest": 0.0, "less": "KeyS", "more": "KeyW",
    }  # fmt: skip


def test_bounds_of_an_environment_are_its_own() -> None:
    space = {"space": "Box", "shape": [3], "low": [-1.0, 0.0, 0.0], "high": 1.0, "dtype": "float32"}
    (entry,) = control_table(vector_world((1, 3), id="CarRacing-v3", action_space=space))
    assert [(axis["label"], axis["low"], axis["rest"]) for axis in entry["axes"]] == [
        ("steer", -1.0, 0.0),
        ("gas", 0.0, 0.0),
        ("brake", 0.0, 0.0),
    ]


def test_a_place_stays_and_the_unbounded_is_bounded() -> None:
    (entry,) = control_table(vector_world((1, 2), 0.0, 512.0))
    assert [axis["rest"] for axis in entry["axes"]] == [None, None]
    space = {"space": "Box", "shape": [2], "low": "-inf", "high": "inf", "dtype": "float32"}
    (entry,) = control_table(vector_world((1, 2), None, None, action_space=space))
    assert (entry["axes"][0]["low"], entry["axes"][0]["high"]) == (-1.0, 1.0)


def test_numbers_become_an_action() -> None:
    assert action_from_numbers(choice_world(4), {"action": [3]})["action"].tolist() == [[3]]
    action = action_from_numbers(vector_world((2, 3)), {"action": [0.5, -1, 0]})["action"]
    assert action.dtype == np.float32
    assert action.tolist() == [[0.5, -1, 0]] * 2
    assert action_from_numbers(vector_world((1,)), {"action": [0.5]})["action"].shape == (1,)


@pytest.mark.parametrize(
    ("spec", "values", "said"),
    [
        (choice_world(4), {"action": [4]}, "over 3"),
        (choice_world(4), {"action": [-1]}, "under 0"),
        (choice_world(4), {"action": [0.5]}, "whole number"),
        (choice_world(4), {"action": []}, "1 finite"),
        (choice_world(4), {"other": [1]}, "the actions are action"),
        (choice_world(4), {}, "got none"),
        (vector_world((2, 3)), {"action": [0, 0]}, "3 finite"),
        (vector_world((2, 3)), {"action": [0, 0, 2]}, "over 1.0"),
        (vector_world((2, 3)), {"action": [0, 0, float("nan")]}, "finite"),
    ],
)
def test_what_is_no_action_is_refused(spec: WorldSpec, values: Any, said: str) -> None:
    with pytest.raises(BadUse, match=said):
        action_from_numbers(spec, values)


def test_words_are_no_action() -> None:
    text = StreamSpec("text", "text", "given", (4,), "int64")
    assert action_streams(WorldSpec(Clock(), {"text": text})) == []
