"""Tokenizers, one per stream, chosen by the stream's kind."""

from orrery.models.tokenizers.audio import AudioTokenizer
from orrery.models.tokenizers.base import Memory, Tokenizer
from orrery.models.tokenizers.choice import ChoiceTokenizer
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.tokenizers.vector import VectorTokenizer
from orrery.models.tokenizers.video import VideoTokenizer
from orrery.streams import KINDS, Kind

__all__ = ["TOKENIZERS", "Memory", "Tokenizer", "register"]

TOKENIZERS: dict[Kind, type[Tokenizer]] = {
    "video": VideoTokenizer,
    "audio": AudioTokenizer,
    "vector": VectorTokenizer,
    "choice": ChoiceTokenizer,
    "text": TextTokenizer,
}
"""Kind of a stream to its tokenizer."""


def register(kind: Kind, tokenizer: type[Tokenizer]) -> None:
    """Add a modality: from here on streams may be of this kind, and are learned by this tokenizer."""
    if kind not in KINDS:
        KINDS.append(kind)
    TOKENIZERS[kind] = tokenizer
