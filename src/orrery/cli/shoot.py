"""`orrery shoot`: a storyboard becomes a film."""

from __future__ import annotations

from pathlib import Path

import tyro

from orrery.cli.console import needs, progress_bar
from orrery.cli.signing import signing

__all__ = ["shoot"]


def shoot(
    storyboard: tyro.conf.Positional[Path],
    out: Path,
    size: str | None = None,
    samples: int | None = None,
    force: bool = False,
    sign: Path | None = None,
) -> int:
    """Make the film of a storyboard: exact motion and sound, shot by shot (needs the studio extra).

    Each shot's film lies in a folder beside the whole one, and is made again only if something that it
    depends on has changed. Beside the film lie its sound as a WAV, its settings as JSON, and the edit as
    OpenTimelineIO, Final Cut XML and EDL.

    Args:
        storyboard: a YAML file; see docs/studio.md.
        out: the film, an MP4.
        size: WIDTHxHEIGHT in pixels instead of the storyboard's, such as 320x180 for a quick look.
        samples: paths a pixel instead of the storyboard's.
        force: replace files that are there.
        sign: a PEM file of a private key and its certificates: the film gets content credentials (C2PA) that
            say what made it, signed with that key (needs the sign extra).
    """
    sign_film = signing(sign)
    with needs("studio", "a storyboard"):
        from orrery.studio.shoot import shoot as shoot_film
        from orrery.studio.storyboard import read_storyboard
    changed = {"size": size, "samples": samples}
    board = read_storyboard(storyboard, **{k: v for k, v in changed.items() if v is not None})
    with progress_bar(out.name, "frames") as on_frame:
        film = shoot_film(board, out, force, on_frame)
    sign_film(out, {"title": board.title, "storyboard": board.model_dump(mode="json")}, False)
    for shot in film.shots:
        print(f"{shot.path}: {len(shot.take.scenes)} frames, {'made' if shot.was_made else 'as it was'}")
        for note in shot.take.notes:
            print(f"  {note}")
        if shot.take.num_clipped:
            print(
                f"  {shot.take.num_clipped:,} samples beyond full scale: clipped in the film, not in the WAV"
            )
        for led in shot.take.led:
            print(
                f"  {led.name} was led within {1000 * led.rms_m:.0f} mm of its path (at most "
                f"{1000 * led.max_m:.0f}), by {led.mean_force:.1f} times its weight"
            )
    for name, dropped in film.edits.items():
        print(f"{out.with_name(name)}" + (f": without {', '.join(dropped)}" if dropped else ""))
    print(f"{out}: {film.seconds:.2f} s of film")
    return 0
