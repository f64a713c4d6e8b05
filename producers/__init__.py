"""The provider's side: publish records, or whole editions, of an information resource."""

from producers.publication import Publication
from producers.publisher import FlushReport, Publisher, Unaccepted

__all__ = ["FlushReport", "Publication", "Publisher", "Unaccepted"]
