"""The words of a recording: its task, and as events what is said within it (subtasks, plans, remarks)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orrery.data.record.lerobot.metadata import Row
from orrery.streams import Event

__all__ = ["events_of", "text_of"]


def text_of(row: Row, columns: Mapping[str, Sequence[Any]], tasks: Mapping[int, str]) -> str:
    """What the episode is about: the task of its first row, or the first that is listed; "" where none is."""
    listed = row.get("tasks")
    listed = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
    said = [task for task in listed if isinstance(task, str)]
    first = next(iter(columns.get("task_index", ())), -1)
    first = tasks.get(first, "") if isinstance(first, int) else ""
    if first and (not said or first in said):
        return first
    return said[0] if said else ""


def events_of(
    row: Row,
    columns: Mapping[str, Sequence[Any]],
    seconds: Sequence[float],
    tasks: Mapping[int, str],
    subtasks: Mapping[int, str],
) -> list[Event]:
    """What is said within an episode, in order of time.

    columns: name to one value a row, of the columns of words and of `task_index` and `subtask_index`.
    seconds: of each row. tasks, subtasks: number to sentence.
    """
    found = list(_marked(row, seconds))
    for name, values in columns.items():
        if name == "task_index":
            words = [tasks.get(k) for k in values]
            found += _changes("task", words, seconds) if len({*words} - {None}) > 1 else []
        elif name == "subtask_index":
            words = [
                subtasks.get(k, f"subtask {k}" if k >= 0 else "") if isinstance(k, int) else None
                for k in values
            ]
            found += _changes("subtask", words, seconds)
        elif any(isinstance(part, dict) for value in values if isinstance(value, list) for part in value):
            found += _remarks(name, values, seconds)
        else:
            words = [_word(value) for value in values]
            found += _changes(name, words, seconds)
    return sorted(found, key=lambda event: event.seconds)


def _word(value: Any) -> str:
    """What a cell of a column of words says; several words have commas between them."""
    if isinstance(value, list):
        return ", ".join(map(_word, value))
    return "" if value is None else str(value)


def _changes(kind: str, words: Sequence[str | None], seconds: Sequence[float]) -> Iterator[Event]:
    """An event whenever the words become others; where there are none (None), the last ones hold."""
    last = ""
    for word, at in zip(words, seconds, strict=True):
        if word is None:
            continue
        if word != last and word:
            yield Event(float(at), kind, word, "")
        last = word


def _remarks(name: str, values: Sequence[Any], seconds: Sequence[float]) -> Iterator[Event]:
    """LeRobot's `language_persistent`, whose remarks have their own instant, and `language_events`, of a
    row."""
    seen = set[tuple[Any, ...]]()
    for remarks, at in zip(values, seconds, strict=True):
        for remark in remarks or ():
            if not isinstance(remark, dict):
                continue
            own = remark.get("timestamp")
            content = remark.get("content") or json.dumps(remark.get("tool_calls") or "")
            event = Event(
                float(at if own is None else own),
                str(remark.get("style") or name),
                content,
                remark.get("role") or "",
            )
            key = (event.seconds, event.kind, event.a, event.b)
            if own is None or key not in seen:
                seen.add(key)
                yield event


def _marked(row: Row, seconds: Sequence[float]) -> Iterator[Event]:
    """Subtasks that the list of episodes gives, with the rows or the seconds at which they begin."""
    for key, names in row.items():
        if not key.endswith("subtask_names") or not isinstance(names, list):
            continue
        prefix = key.removesuffix("names")
        frames, times = row.get(f"{prefix}start_frames"), row.get(f"{prefix}start_times")
        if isinstance(frames, list):
            starts = [seconds[min(int(k), len(seconds) - 1)] for k in frames if isinstance(k, int) and k >= 0]
        else:
            starts = [t for t in times or () if isinstance(t, int | float)]
        if len(starts) == len(names):
            kind = f"{prefix}".rstrip("_")
            yield from (Event(float(at), kind, str(name), "") for name, at in zip(names, starts, strict=True))
