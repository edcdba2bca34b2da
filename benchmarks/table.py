"""Writes the tables of results into the README (ten figures) and the docs (all), between their markers, from
the newest result of each kind.

Every figure stands next to its floor, the same measure of the exact world, and to its bar.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from harness import EXACT, RESULTS, console, number, percent
from orrery.atomic import write_atomically
from orrery.errors import UserError

Row = tuple[str, str, str, str]
"""What is measured, the model's figure, the exact world's, the bar."""


@dataclass
class Settings:
    """results: folder of JSON files. readme, figures: files with the markers of ten figures, and of all.
    report: of the faults. laboratory: of the sentences."""

    results: Path = RESULTS
    readme: Path = Path(__file__).parent.parent / "README.md"
    figures: Path = Path(__file__).parent.parent / "docs" / "figures.md"
    report: Path = Path(__file__).parent.parent / "docs" / "report.md"
    laboratory: Path = Path(__file__).parent.parent / "docs" / "laboratory.md"


def newest(results: Path, exact: bool = False) -> dict[str, dict[str, Any]]:
    """The newest result of a model (or, if `exact`, of the exact world) of each kind, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for path in results.glob("*.json"):
        record = json.loads(path.read_text("utf-8"))
        if (record["provenance"]["world"] == EXACT) != exact:
            continue
        before = found.get(record["what"])
        if before is None or before["provenance"]["date"] < record["provenance"]["date"]:
            found[record["what"]] = record
    return found


def obedience(model: Any, exact: Any) -> list[Row]:
    bars = {
        "colours_right": ("named colours right, no other seen", "≥ 90 %"),
        "everything_right": ("all named shapes, colours and counts right", "≥ 75 %"),
        "states_right": ("the same, in the state before it is drawn", ""),
    }
    rows = [(label, percent(model[key]), percent(exact[key]), bar) for key, (label, bar) in bars.items()]
    when = model.get("everything_right_when", {})
    return rows + [(f"everything right: {name}", percent(value), "", "") for name, value in when.items()]


def dynamics(model: Any, exact: Any) -> list[Row]:
    rows: list[Row] = []
    errors = model["position_error_mm"]
    for group in sorted(name for name in errors if name != "all"):
        for horizon in ("0.25 s", "1 s", "2 s"):
            place = {method: values["median"] for method, values in errors[group][horizon].items()}
            still, straight = place["doing nothing"], place["constant velocity"]
            bar = f"< {number(still)} (doing nothing), < {number(straight)} (constant velocity)"
            floor = number(place.get("exact, 0.5 mm off"))
            rows.append(
                (f"position error of {group} after {horizon}, mm", number(place.get("model")), floor, bar)
            )
    drift = [part["resting_drift_mm_s"]["median"] for part in (model, exact)]
    rows.append(("drift of resting things, mm/s", number(drift[0]), number(drift[1]), "< 5"))
    lowest = [part["lowest_point_mm"]["min"] for part in (model, exact)]
    rows.append(("lowest point of anything, mm over the table", number(lowest[0]), number(lowest[1]), "≥ 0"))
    for material, bounce in model["bounce"].items():
        floor = exact["bounce"][material]["median"]
        rows.append(
            (f"rebound over drop of a {material} ball", number(bounce["median"]), number(floor), "as exact")
        )
    return rows


def sound(model: Any, exact: Any) -> list[Row]:
    plain = [
        ("onset F1 within 50 ms", "onset_f1", "≥ 0.95"),
        ("delay of sound, ms", "delay_median_ms", "within 15"),
    ]
    shares = [
        ("hits that are silent", "silent_contacts", "≤ 2 %"),
        ("sounds without a hit", "phantom_sounds", "≤ 5 %"),
    ]
    rows = [(label, number(model[key]), number(exact[key]), bar) for label, key, bar in plain]
    rows += [(label, percent(model[key]), percent(exact[key]), bar) for label, key, bar in shares]
    levels = [part["silence_dbfs"]["loudest"] for part in (model, exact)]
    return [*rows, ("loudest of ten scenes at rest, dBFS", number(levels[0]), number(levels[1]), "< -50")]


def perception(model: Any, _: Any) -> list[Row]:
    shares = [f"{name}_right" for name in ("number", "colour", "shape")]
    rows = [(f"read off a picture: {key.replace('_', ' ')}", percent(model[key]), "", "") for key in shares]
    error = model["position_error_mm"]["median"]
    return [*rows, ("read off a picture: position error, mm", number(error), "", "")]


def tokenizers(model: Any, _: Any) -> list[Row]:
    lines = [
        ("pictures, all pixels, dB PSNR", model["psnr_db"]),
        ("pictures, object pixels, dB PSNR", model["psnr_objects_db"]),
        ("sound, log-spectral distance, dB", model["log_spectral_distance_db"]["median"]),
        ("sound, onset error, ms", model["onset_error_ms"]["median"]),
    ]
    return [(f"tokenizer: {label}", number(value), "", "") for label, value in lines]


_COSTS = (
    ("generated seconds per core-second", "seconds_per_core_second"),
    ("real-time factor", "real_time_factor"),
    ("peak memory, MiB", "peak_mib"),
)


def cost(model: Any, exact: Any) -> list[Row]:
    rows: list[Row] = []
    for length, values in model["lengths"].items():
        floor = exact["lengths"].get(length, {})
        for label, key in _COSTS:
            bar = "≥ 1" if key == "real_time_factor" else ""
            rows.append((f"{label}, film of {length}", number(values[key]), number(floor.get(key)), bar))
    return rows


def reproducible(model: Any, _: Any) -> list[Row]:
    yes = {True: "yes", False: "no"}
    return [
        ("same seed, same film", yes[model["same_seed_same_film"]], "", "yes"),
        ("another seed, another film", yes[model["other_seed_other_film"]], "", "yes"),
    ]


def report(model: Any, _: Any) -> list[Row]:
    rows = [
        (
            f"{f['id']} {f['name']}: {f['statistic']}",
            f"{number(f['value'])} ({f['verdict']})",
            number(f["floor"]),
            f"excess ≤ {number(f['passes_at'])}",
        )
        for f in model["figures"]
    ]
    return [*rows, ("physics report: verdict of the worst section", model["verdict"], "", "pass")]


SECTIONS = [obedience, dynamics, sound, report, perception, tokenizers, cost, reproducible]


LEARNED = "learned_worlds-"
INSIDE = "policy_inside-"
BARS_INSIDE = {"CartPole-v1": "≥ 475 of 500"}
HEADLINES = (
    "named colours right, no other seen",
    "all named shapes, colours and counts right",
    "onset F1 within 50 ms",
    "real-time factor, film of 5 s",
)
"""Of the tabletop, in the README; the learned worlds' own stand beside them."""


def learned_worlds(records: dict[str, dict[str, Any]]) -> str:
    """What was asked of each learned world, what was measured, and how fast it is, in Markdown."""
    lines = ["| world | | measured | bar | |", "|---|---|---|---|---|"]
    verdict = {True: "met", False: "missed", None: "not measured"}
    for what in sorted(w for w in records if w.startswith(LEARNED)):
        figures, name = records[what], what.removeprefix(LEARNED)
        rows = [(b["what"], number(b["value"]), b["asked"], verdict[b["passes"]]) for b in figures["bars"]]
        rows.append(("ticks a core-second", number(figures["cost"]["ticks_per_core_second"]), "", ""))
        lines += [f"| {name} | {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def learned_headlines(records: dict[str, dict[str, Any]]) -> str:
    """One line for each learned world: pictures after a second against copying, shuffled actions, speed."""
    lines = [
        "| learned world | error after 1 s over that of copying the last frame "
        "| error under shuffled actions over that under true ones | ticks a second on one core |",
        "|---|---|---|---|",
    ]
    for what in sorted(w for w in records if w.startswith(LEARNED)):
        figures = records[what]
        rollouts = figures["rollouts"]
        stream = next((name for name in rollouts["by_horizon"] if name.startswith("video.")), None)
        if stream is None:  # a world without pictures stands in the docs alone
            continue
        second = next(row for row in rollouts["by_horizon"][stream] if row["seconds"] == 1.0)
        shuffled = rollouts["actions_matter"].get(stream)
        cells = (second["model"] / second["copy"], shuffled, figures["cost"]["ticks_per_core_second"])
        lines.append(f"| {what.removeprefix(LEARNED)} | {' | '.join(number(c) for c in cells)} |")
    return "\n".join(lines)


def policies(records: dict[str, dict[str, Any]]) -> str:
    """What policies that were trained inside of a learned world alone are worth in the real one, in
    Markdown."""
    lines = [
        "| environment | learned from random play | core-minutes | mean return inside, by policy "
        "| in the real one, by policy | bar |",
        "|---|---|---|---|---|---|",
    ]
    for what in sorted(w for w in records if w.startswith(INSIDE)):
        figures = records[what]
        means = [
            ", ".join(number(p[where]["mean"]) for p in figures["policies"])
            for where in ("inside", "outside")
        ]
        cells = [
            figures["environment"], f"{figures['data']['episodes']:,} episodes",
            number(figures["training"]["core_minutes"]), *means, BARS_INSIDE.get(figures["environment"], ""),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table(records: dict[str, dict[str, Any]], labels: Sequence[str] = ()) -> str:
    """The table in Markdown, and where it comes from. labels: of the rows; all, if none are given."""
    lines = ["| | model | exact world | bar |", "|---|---|---|---|"]
    sources = set()
    for section in SECTIONS:
        record = records.get(section.__name__)
        if record is None:
            continue
        rows = section(record["figures"], record.get("exact"))
        lines += [f"| {' | '.join(row)} |" for row in rows if not labels or row[0] in labels]
        origin = record["provenance"]
        sources.add(
            f"{origin.get('checkpoint_sha256', '')[:12]} on {origin['hardware']}, {origin['date'][:10]}"
        )
    return "\n".join(
        [*lines, "", f"Checkpoint {'; '.join(sorted(sources))}. Scripts and JSON: `benchmarks/`."]
    )


def faults(record: dict[str, Any]) -> str:
    """How many films of each fault are caught, by strength, in Markdown."""
    figures, strengths = record["figures"], [f"{s:g}" for s in record["settings"]["strengths"]]
    lines = [
        "| fault | " + " | ".join(f"caught at {s} of its strength" for s in strengths) + " | mostly by |",
        "|---" * (len(strengths) + 2) + "|",
    ]
    for name, caught in figures["caught"].items():
        shares = [f"{percent(caught[s])} of {caught[s]['trials']}" for s in strengths]
        lines.append(f"| {name} | {' | '.join(shares)} | {', '.join(figures['by'][name])} |")
    alarms = figures["false_alarms"]
    lines += ["", f"False alarms: {percent(alarms)} of {alarms['trials']} exact films."]
    return "\n".join(lines)


def film_report(record: dict[str, Any]) -> str:
    """What is found in films of known truth at each quality and size, and in real footage, in Markdown."""
    figures = record["figures"]
    conditions = list(figures["false_alarms"])
    lines = [
        "| caught | " + " | ".join(conditions) + " | mostly by |",
        "|---" * (len(conditions) + 2) + "|",
    ]
    for name, caught in figures["caught"].items():
        shares = [f"{percent(caught[c])} of {caught[c]['trials']}" for c in conditions]
        lines.append(f"| {name} | {' | '.join(shares)} | {', '.join(figures['by'][name])} |")
    for label, key in (
        ("wholly frozen films: abstains or fails", "frozen_not_passed"),
        ("exact films: false alarms", "false_alarms"),
        ("exact films: abstains", "abstains"),
    ):
        shares = [f"{percent(figures[key][c])} of {figures[key][c]['trials']}" for c in conditions]
        lines.append(f"| *{label}* | {' | '.join(shares)} | |")
    speeds = ", ".join(f"{number(value)} at {size}" for size, value in figures["speed"].items())
    lines += ["", f"Times real time on one core of {record['provenance']['hardware']}: {speeds}."]
    if "footage" in figures:
        lines += [
            "",
            "| footage | verdict | found | marks followed | median error, px |",
            "|---|---|---|---|---|",
        ]
    for name, film in figures.get("footage", {}).items():
        marked = film.get("marked") or {}
        followed = f"{marked['followed']} of {marked['marks']}" if marked else ""
        found = ", ".join(film.get("found", {})) or "nothing"
        error = number(marked["median_error_px"]) if "median_error_px" in marked else ""
        lines.append(f"| {name} | {film.get('verdict', 'refused')} | {found} | {followed} | {error} |")
    return "\n".join(lines)


def sentences(record: dict[str, Any]) -> str:
    """What becomes of sentences that people type, in Markdown."""
    bars, rows = record["bars"], []
    for label, key in (
        ("understood, of those that the laboratory can do", "understood"),
        ("of these, what they say happens", "happens"),
        ("refused with a useful word, of those that it cannot", "refused_with_a_useful_word"),
    ):
        bar = f"≥ {100 * bars[key]:.0f} %" if key in bars else ""
        rows.append(f"| {label} | {percent(record[key])} of {record[key]['trials']} | {bar} |")
    rows.append(f"| filmed though something said is not so | {record['ignored']} | {bars['ignored']} |")
    return "\n".join([f"| {record['num_sentences']} sentences | | bar |", "|---|---|---|", *rows])


def fill(file: Path, name: str, text: str) -> None:
    """Put a text between the markers `<!-- name -->` and `<!-- /name -->` of a file."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before = file.read_text("utf-8")
    if before.count(begin) != 1 or before.count(end) != 1 or before.index(begin) > before.index(end):
        raise UserError(f"{file}: needs the markers {begin} and {end}, once each, in this order")
    head, tail = before.split(begin)[0], before.split(end)[1]
    write_atomically(file, f"{head}{begin}\n{text}\n{end}{tail}".encode())
    console.print(f"{file}: {name}")


def main(settings: Settings) -> None:
    records = newest(settings.results)
    if not records:
        raise UserError(f"{settings.results}: no result of a model; run benchmarks/all.py first")
    fill(settings.readme, "figures", table(records, HEADLINES))
    fill(settings.readme, "learned worlds", learned_headlines(records))
    fill(settings.figures, "figures", table(records))
    fill(settings.figures, "learned worlds", learned_worlds(records))
    for file in (settings.readme, settings.figures):
        fill(file, "policies", policies(records))
    caught = newest(settings.results, exact=True).get("faults")
    if caught is not None:
        fill(settings.report, "faults", faults(caught))
    films = newest(settings.results, exact=True).get("film_report")
    if films is not None:
        fill(settings.report, "film report", film_report(films))
    typed = newest(settings.results, exact=True).get("sentences")
    if typed is not None:
        fill(settings.laboratory, "sentences", sentences(typed))


if __name__ == "__main__":
    main(tyro.cli(Settings))
