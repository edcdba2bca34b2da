"""What the actions of documented environments mean, and the keys that suit them; for `serving.controls`.

Each table is by how an environment's id begins.
"""

from __future__ import annotations

__all__ = ["ALSO", "AXES", "CHOICES"]

CHOICES: dict[str, tuple[str, ...]] = {
    "CartPole": ("push left", "push right"),
    "MountainCar": ("left", "nothing", "right"),
    "Acrobot": ("left", "nothing", "right"),
    "LunarLander": ("nothing", "left engine", "main engine", "right engine"),
    "FrozenLake": ("left", "down", "right", "up"),
    "CliffWalking": ("up", "right", "down", "left"),
    "Taxi": ("south", "north", "east", "west", "pickup", "dropoff"),
    "CarRacing": ("nothing", "right", "left", "gas", "brake"),
    "MiniGrid-": ("left", "right", "forward", "pickup", "drop", "toggle", "done"),
}
"""What each choice means."""
ALSO = {"ALE/Pong": {"ArrowRight": "ArrowUp", "ArrowLeft": "ArrowDown"}}
"""Further keys where what an action is called is not what it looks like: Pong's paddles go up and down."""
AXES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "CarRacing": (
        ("steer", "ArrowLeft", "ArrowRight"),
        ("gas", "", "ArrowUp"),
        ("brake", "", "ArrowDown"),
    ),
    "LunarLander": (("main engine", "", "ArrowUp"), ("side engines", "ArrowLeft", "ArrowRight")),
    "Pendulum": (("torque", "ArrowLeft", "ArrowRight"),),
    "MountainCarContinuous": (("push", "ArrowLeft", "ArrowRight"),),
}
"""Label, key for less and key for more of each number of an action."""
