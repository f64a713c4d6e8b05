"""Finding things of the catalog by their texts, in memory."""

from collections.abc import Collection, Sequence

from bus.domain.organisation import Zone
from bus.domain.search_terms import document_tokens, query_tokens
from bus.ports.search import Found, FoundKey, SearchDocument


class MemoryCatalogSearch:
    """See `bus.ports.search.CatalogSearch`."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], SearchDocument] = {}

    def index(self, document: SearchDocument) -> None:
        """Keep what something is found by."""
        self._documents[document.kind, document.id] = document

    def remove(self, kind: str, id_: str) -> None:
        """Let something be found no more."""
        self._documents.pop((kind, id_), None)

    def find(
        self,
        question: str,
        *,
        zone: Zone | None = None,
        jurisdictions: Collection[str] | None = None,
        kinds: Collection[str] | None = None,
        after: FoundKey | None = None,
        limit: int,
    ) -> Sequence[Found]:
        tokens = set(query_tokens(question))
        found = [
            _found(each, tokens)
            for each in self._documents.values()
            if tokens.issubset(document_tokens((each.title, *each.titles, *each.texts)))
            and (zone is None or each.zone is zone)
            and (jurisdictions is None or each.jurisdiction in jurisdictions)
            and (kinds is None or each.kind in kinds)
        ]
        found.sort(key=lambda each: _order(each.key))
        return [each for each in found if after is None or _order(each.key) > _order(after)][:limit]


def _found(document: SearchDocument, tokens: set[str]) -> Found:
    return Found(
        kind=document.kind,
        id=document.id,
        jurisdiction=document.jurisdiction,
        title=document.title,
        matches=len(tokens.intersection(document_tokens((document.title, *document.titles)))),
    )


def _order(key: FoundKey) -> tuple[int, bytes, bytes, bytes]:
    """Return what sorts as the database does: by bytes, not by a language's rules."""
    matches, title, kind, id_ = key
    return (-matches, title.encode(), kind.encode(), id_.encode())
