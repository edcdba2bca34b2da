"""What models take: sizes, rates, lengths, and films in pieces."""

from __future__ import annotations

import itertools

import pytest

from orrery.errors import BadUse
from orrery.studio.controls.limits import MODELS, limits_of
from orrery.studio.controls.shot import plan_controls
from orrery.studio.controls.streams import CONTROLS, FILMED, read_controls


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", [1, 2, 5, 16, 17, 81, 82, 200, 1000])
def test_pieces_hold_all_frames_and_each_can_be_made(name: str, count: int) -> None:
    limits = limits_of(name)
    pieces = limits.pieces(count)
    assert pieces[0].first == 0
    for piece in pieces:
        assert (piece.num_frames - 1) % limits.frame_step == 0
        assert limits.frame_step < piece.num_frames <= limits.most_frames
    for before, after in itertools.pairwise(pieces):
        assert before.first + before.num_frames - after.first == limits.overlap
    length = pieces[-1].first + pieces[-1].num_frames
    assert limits.num_frames(count) == length
    shortest = limits.frame_step + 1
    assert count <= length < max(count, shortest) + limits.frame_step


@pytest.mark.parametrize("name", MODELS)
def test_the_table_keeps_its_own_rules(name: str) -> None:
    limits = MODELS[name]
    assert limits.name == name
    assert (limits.most_frames - 1) % limits.frame_step == 0
    assert limits.controls <= set(FILMED)
    assert limits.overlap < limits.most_frames / 2
    assert limits.source


@pytest.mark.parametrize(
    ("name", "size", "fitted"),
    [
        ("wan-vace", (1280, 720), (1280, 720)),
        ("wan-vace", (720, 1280), (720, 1280)),
        ("wan-vace", (854, 480), (848, 480)),
        ("ltx-2", (1920, 1080), (1920, 1088)),
        ("ltx-2", (1280, 720), (1280, 704)),
        ("cosmos-transfer2.5", (1280, 704), (1280, 704)),
        ("wan-vace", (2, 2), (16, 16)),
    ],
)
def test_sizes_are_the_nearest_that_a_model_takes(
    name: str, size: tuple[int, int], fitted: tuple[int, int]
) -> None:
    assert limits_of(name).size(size) == fitted


def test_a_size_beyond_a_model_is_refused_with_one_that_would_do() -> None:
    with pytest.raises(BadUse, match=r"up to 921,600 pixels; --size 1280x720 would do"):
        limits_of("wan-vace").size((1920, 1080))
    with pytest.raises(BadUse, match=r"--size (\d+)x(\d+) would do") as told:
        limits_of("cogvideox-fun").size((3000, 1001))
    width, height = map(int, str(told.value).split("--size ")[1].split(" ")[0].split("x"))
    assert limits_of("cogvideox-fun").size((width, height)) == (width, height)


def test_rates_are_the_films_own_where_a_model_has_them() -> None:
    assert [limits_of("ltx-2").rate(rate) for rate in (24, 25, 30, 60)] == [24, 25, 24, 24]
    assert limits_of("wan-vace").rate(24) == 16
    assert limits_of("cosmos3").rate(30) == 30


def test_what_is_changed_to_fit_is_told() -> None:
    plan = plan_controls("depth,segmentation,camera", (1280, 720), 24, "ltx-2")
    assert plan.size == (1280, 704)
    assert plan.frames_per_second == 24
    told = " ".join(plan.told)
    assert "1280x704 instead of 1280x720" in told
    assert "not known to be guided by segmentation" in told
    assert "camera" not in told
    assert "instead of 24" in " ".join(plan_controls("depth", (1280, 720), 24, "wan-vace").told)
    assert plan_controls("depth", (640, 360), 24).told == ()


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(BadUse, match=r"--controls dept: there is no such control; perhaps depth"):
        read_controls("dept")
    with pytest.raises(BadUse, match=r"perhaps wan-vace"):
        limits_of("wan-vac")
    with pytest.raises(BadUse, match="name some"):
        read_controls(" , ")
    with pytest.raises(BadUse, match="there is no such control"):
        plan_controls(["flow", "sound"], (64, 64), 24)


def test_controls_are_named_once_and_in_one_order() -> None:
    assert read_controls("flow, depth,flow") == ("depth", "flow")
    assert read_controls("all") == tuple(CONTROLS)
