"""The scene language."""

from __future__ import annotations

from orrery.scenes.captions import caption
from orrery.scenes.lexicon import vocabulary

__all__ = ["caption", "vocabulary"]
