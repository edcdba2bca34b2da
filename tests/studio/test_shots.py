"""Storyboards: read as written, and refused in words that help."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orrery.errors import UserError
from orrery.studio.shots import FixtureInShot, Shot, Storyboard, ThingInShot
from orrery.studio.storyboard import read_storyboard
from orrery.worlds.rigid_bodies.geometry import rotate

THING = "{shape: ball, position_m: [0, 0]}"


def board(tmp_path: Path, text: str) -> Storyboard:
    path = tmp_path / "board.yaml"
    path.write_text(text, "utf-8")
    return read_storyboard(path)


def test_a_storyboard_is_read_as_written(tmp_path: Path) -> None:
    read = board(
        tmp_path,
        """
        title: Two meet
        size: 720x1280
        frames_per_second: 25
        shots:
          - name: meet
            seconds: 2
            things:
              - {name: marble, shape: ball, material: glass, size_m: 0.05, position_m: [-0.3, 0],
                 velocity_m_s: [0.8, 0, 0], rolls: true}
              - {shape: capsule, colour: blue, size_m: [0.04, 0.1], position_m: [0.1, 0], turned_deg: 90}
            fixtures: [{name: ramp, size_m: [0.3, 0.1, 0.02], position_m: [0.2, 0.2], tilted_deg: 20}]
            paths: {marble: [{seconds: 0, position_m: [-0.3, 0]}, {seconds: 1, position_m: [0, 0.1]}]}
            camera: {keys: [{look_at: marble, f_stop: 2.8}, {seconds: 2, from_m: [0, -1, 0.4], focus: 1}]}
          - {name: after, continues: true}
        """,
    )
    assert read.width_height == (720, 1280)
    assert read.names == ("meet", "after")
    scene = read.shots[0].scene()
    ball, capsule = scene.things
    assert ball.half_extents_m == (0.025, 0.025, 0.025)
    assert ball.position_m == (-0.3, 0.0, 0.025)  # it stands on the table
    # A ball that rolls does not slide: the speed of the point that touches is v + w x (-r z) = 0.
    wx, wy, _ = ball.angular_velocity_rad_s
    assert ball.linear_velocity_m_s[0] - wy * 0.025 == pytest.approx(0)
    assert ball.linear_velocity_m_s[1] + wx * 0.025 == pytest.approx(0)
    assert capsule.half_extents_m == pytest.approx((0.02, 0.02, 0.03))  # its half length without the caps
    assert capsule.position_m[2] == pytest.approx(0.02)  # it lies
    assert rotate(np.array(capsule.quaternion), np.array([0, 0, 1])) == pytest.approx([0, 1, 0])
    assert read == Storyboard.model_validate(read.model_dump())


def test_a_ramp_falls_towards_its_x() -> None:
    ramp = FixtureInShot(size_m=(0.3, 0.1, 0.02), tilted_deg=20, turned_deg=90).fixture()
    along = rotate(np.array(ramp.quaternion), np.array([1, 0, 0]))
    assert along[1] == pytest.approx(0.9397, abs=1e-4)  # turned by 90 degrees: x lies along y
    assert along[2] == pytest.approx(-0.3420, abs=1e-4)


@pytest.mark.parametrize(
    ("shot", "words"),
    [
        (f"things: [{THING}], secnds: 3", "shots 1, secnds: there is no such key; perhaps seconds"),
        ("things: [{shape: bal}]", "shots 1, things 1, shape: no shape 'bal'; perhaps ball"),
        ("things: [{colour: rde}]", "perhaps red"),
        ("things: [{material: vibranium}]", "there are wood"),
        ("things: [{shape: ball, size_m: [0.1, 0.2]}]", "a ball has one size"),
        ("things: [{shape: capsule, size_m: 0.1}]", "longer than it is wide"),
        ("things: [{shape: box, size_m: 0}]", "greater than 0"),
        ("things: [{position_m: [0, .nan]}]", "finite"),
        ("things: [{shape: box, rolls: true}]", "only a ball rolls by itself"),
        (f"things: [{THING}, {THING}]", "two things are called 'red ball'"),
        (f"things: [{', '.join(f'{{name: b{k}}}' for k in range(9))}]", "up to 8 things"),
        (f"things: [{THING}], sentence: a ball falls", "either things, or a sentence"),
        ("seconds: 3", "either things, or a sentence"),
        ("continues: true", "the first shot has none before it"),
        ("sentence: a ball falls, surface: cloth", "go with things"),
        (f"things: [{THING}], seconds: 0", "seconds"),
        (f"things: [{THING}], name: ../up", "letters, digits"),
        (
            f"things: [{THING}], paths: {{red bal: [{{seconds: 0, position_m: [0, 0]}}]}}",
            "perhaps 'red ball'",
        ),
        (
            f"things: [{THING}], paths: {{red ball: [{{seconds: 1, position_m: [0, 0]}},"
            " {seconds: 1, position_m: [1, 0]}]}",
            "in order of time: 1 s follows 1 s",
        ),
        (f"things: [{THING}], camera: {{keys: [{{look_at: 3}}]}}", "a point [x, y, z] in metres, or a thing"),
        (f"things: [{THING}], camera: {{keys: []}}", "a camera needs a key"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, shot: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        board(tmp_path, f"shots: [{{{shot}}}]")
    assert words in str(caught.value)
    assert "board.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "keys such as"),
        ("shots: []", "needs a shot"),
        (f"size: 1281x720\nshots: [{{things: [{THING}]}}]", "1282x720 would do"),
        (f"size: big\nshots: [{{things: [{THING}]}}]", "size"),
        (f"frames_per_second: 23\nshots: [{{things: [{THING}]}}]", "24, 25, 30, 60"),
        ("shots: [", "line"),
        (f"look: soft\nlook: draft\nshots: [{{things: [{THING}]}}]", "line 2: 'look' is given twice"),
        (f"shots: [{{name: a, things: [{THING}]}}, {{name: A, continues: true}}]", "two shots are called"),
    ],
)
def test_a_file_that_is_no_storyboard_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        board(tmp_path, text)
    assert words in str(caught.value)


def test_a_file_of_bytes_is_named(tmp_path: Path) -> None:
    (tmp_path / "board.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        read_storyboard(tmp_path / "board.yaml")


def test_in_python_as_in_yaml(tmp_path: Path) -> None:
    made = Storyboard(shots=(Shot(things=(ThingInShot(shape="box", size_m=(0.1,)),)),))
    assert made == board(tmp_path, "shots: [{things: [{shape: box, size_m: 0.1}]}]")
