"""Films and pictures, in and out."""

from orrery.media.fit import FilmSound
from orrery.media.picture import read_image, side_by_side
from orrery.media.reader import Film, FilmHeader, film_header, iterate_film, read_film
from orrery.media.sheet import ContactSheet, contact_sheet
from orrery.media.stream import FilmStream
from orrery.media.writer import FilmWriter, sidecar_path, write_sidecar

__all__ = [
    "ContactSheet",
    "Film",
    "FilmHeader",
    "FilmSound",
    "FilmStream",
    "FilmWriter",
    "contact_sheet",
    "film_header",
    "iterate_film",
    "read_film",
    "read_image",
    "side_by_side",
    "sidecar_path",
    "write_sidecar",
]
