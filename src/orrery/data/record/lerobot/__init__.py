"""Episodes of any LeRobotDataset, v2.0 to v3.1: `lerobot:PATH`, or `lerobot:USER/NAME` from the Hugging
Face Hub."""

from orrery.data.record.lerobot.source import LeRobotSource, lerobot_source

__all__ = ["LeRobotSource", "lerobot_source"]
