"""Tokenizers, one per stream, chosen by the stream's kind."""

from orrery.models.tokenizers.audio import AudioTokenizer
from orrery.models.tokenizers.base import Memory, Tokenizer
from orrery.models.tokenizers.choice import ChoiceTokenizer
from orrery.models.tokenizers.text import TextTokenizer
from orrery.models.tokenizers.vector import VectorTokenizer
from orrery.models.tokenizers.video import VideoTokenizer

__all__ = ["TOKENIZERS", "Memory", "Tokenizer"]

TOKENIZERS: dict[str, type[Tokenizer]] = {
    "video": VideoTokenizer,
    "audio": AudioTokenizer,
    "vector": VectorTokenizer,
    "choice": ChoiceTokenizer,
    "text": TextTokenizer,
}
"""Kind of a stream to its tokenizer. A new modality is one entry here and one kind in `streams`."""
