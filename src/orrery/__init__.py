"""Orrery: a world you can watch, hear, touch and steer.

Importing it tells Gymnasium, where that is installed, of two environments: a learned world,
`gymnasium.make("orrery/imagined", checkpoint=...)`, and a world of an `orrery serve` elsewhere,
`gymnasium.make("orrery/remote", address=...)`.
"""

from contextlib import suppress

__version__ = "0.1.0"

with suppress(ImportError):  # the base install has no Gymnasium
    import gymnasium

    gymnasium.register(
        "orrery/imagined",
        entry_point="orrery.inference.environment:make_env",
        vector_entry_point="orrery.inference.environment:make_vector_env",
        disable_env_checker=True,
    )
    gymnasium.register(
        "orrery/remote", entry_point="orrery.serving.client:make_env", disable_env_checker=True
    )
