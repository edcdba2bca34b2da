"""Orrery: a world you can watch, hear, touch and steer."""

__version__ = "0.1.0"
