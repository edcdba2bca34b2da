"""What MuJoCo is asked of the laboratory's contacts: the forces that hold, and depths that are there."""

from __future__ import annotations

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from orrery.streams import Clock  # noqa: E402
from orrery.worlds.laboratory.model import build_laboratory  # noqa: E402
from orrery.worlds.laboratory.scene import (  # noqa: E402
    Fixture,
    Hinge,
    LabScene,
    Orbit,
    Thing,
)

HERE = Orbit("front", -1.5, 0.5, 1.1)
LOWER = (0.04159308967217019, 0.04159308967217019, 0.037379721906408245)
UPPER = (0.038777383203225206, 0.038777383203225206, 0.045878192638095144)


def test_cylinders_that_stand_on_each_other_touch_at_their_ends() -> None:
    """Poses from a stack, tilted by 1e-5, 3e-5 and less: 9 micrometres deep, and not a whole cylinder.

    By MuJoCo's own tolerance one pose in ten thousand of this kind comes out 55 mm deep.
    """
    things = (
        Thing("stacked", "cylinder", "red", "rubber", LOWER, (0.0, 0.0, 0.5)),
        Thing("stacked", "cylinder", "blue", "ceramic", UPPER, (0.0, 0.0, 0.6)),
    )
    model = build_laboratory(LabScene("stack", things, (), HERE, "wood"), Clock())
    data = mujoco.MjData(model)
    data.qpos[:14] = [
        -0.06980873208949104, 0.053651336304528494, 0.03737340472195357, 0.9998247955010549,
        -1.7219026165253197e-05, 1.954818657543735e-05, 0.018718376602856548,
        -0.06800054927261606, 0.05733585214254845, 0.1206310900070098, 0.9949637217103783,
        -1.3401775924479632e-05, 3.313697934914417e-05, -0.1002356782915414,
    ]  # fmt: skip
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    upon = [row for row in data.contact if model.geom("table").id not in row.geom]
    assert upon
    assert all(-row.dist < 1e-5 and abs(row.frame[2]) > 0.999 for row in upon)


def test_contact_forces_are_solved_to_the_end() -> None:
    """One step of a can that slides down a see-saw's plank, against MuJoCo's solver run to its last digit.

    By MuJoCo's own tolerance it stops after two iterations and shoots the can away at 4 m/s.
    """
    lean = (0.994068043379047, 0.0, -0.1087599426836607, 0.0)
    hinge = Hinge((0.0, 0.0166, 0.057), (0.0, 1.0, 0.0), 0.0)
    things = (
        Thing("plank", "box", "blue", "wood", (0.22, 0.055, 0.009), (0.0, 0.0166, 0.057), lean, hinge=hinge),
        Thing("load", "cylinder", "purple", "wood", (0.021683, 0.021683, 0.0230736), (-0.18, 0.0166, 0.05)),
        Thing("faller", "box", "orange", "wood", (0.04905, 0.05033, 0.03724), (0.3, 0.0166, 0.04905)),
    )  # fmt: skip
    fulcrum = Fixture("fulcrum", "cylinder", "wood", (0.024, 0.024, 0.05), (0.0, 0.0166, 0.024), (0.7071068,
        0.7071068, 0.0, 0.0))  # fmt: skip
    scene = LabScene("see-saw", things, (fulcrum,), HERE, "wood", ignored_pairs=((0, 0),))
    model = build_laboratory(scene, Clock())
    data = mujoco.MjData(model)
    # Positions, speeds and the accelerations from which the solver starts, as they were in a scene.
    data.qpos[:8] = [
        -0.005928135677517777, -0.17110926097373425, 0.017096024253976973, 0.050852642483732835,
        0.10125361356428877, -0.01460784669790019, 0.9947291542268557, 0.0069445148246023835,
    ]  # fmt: skip
    data.qvel[:7] = [
        0.15709005494681072, -0.06400171437908571, 0.14112090377077938, 0.08999685890545361,
        -1.5764289124179802, 18.58516608872453, 0.8789624474265196,
    ]  # fmt: skip
    data.qacc_warmstart[:7] = [
        880.2254233976014, -14.628881007826775, 39.54584041226718, 177.20626508684924, 4761.838881588005,
        -5804.549976768123, -622.3043615877452,
    ]  # fmt: skip
    state = data.qpos.copy(), data.qvel.copy(), data.qacc_warmstart.copy()
    mujoco.mj_step(model, data)
    stepped = data.qvel.copy()
    model.opt.tolerance, model.opt.iterations = 0.0, 1000
    data.qpos[:], data.qvel[:], data.qacc_warmstart[:] = state
    mujoco.mj_step(model, data)
    assert np.linalg.norm(stepped[1:4]) < 0.5
    np.testing.assert_allclose(stepped[:7], data.qvel[:7], atol=1e-3)
