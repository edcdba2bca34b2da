"""Worlds that other programs and people can reach: live play in a browser."""
