"""Finding things of the catalog by their texts, in the control plane's database."""

from collections.abc import Collection, Sequence

import psycopg
from psycopg.rows import TupleRow

from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.domain.organisation import Zone
from bus.domain.search_terms import document_tokens, query_tokens
from bus.ports.search import Found, FoundKey, SearchDocument

_FILE = "search"


def index(connection: psycopg.Connection[TupleRow], document: SearchDocument) -> None:
    """Keep what something is found by, in place of what there was; in the caller's transaction."""
    titles = (document.title, *document.titles)
    connection.execute(
        statements(_FILE)["index"],
        {
            "kind": document.kind,
            "id": document.id,
            "jurisdiction": document.jurisdiction,
            "zone": document.zone,
            "title": document.title,
            "title_tokens": list(document_tokens(titles)),
            "tokens": list(document_tokens((*titles, *document.texts))),
        },
    )


def remove(connection: psycopg.Connection[TupleRow], kind: str, id_: str) -> None:
    """Let something be found no more; in the caller's transaction."""
    connection.execute(statements(_FILE)["remove"], {"kind": kind, "id": id_})


class PostgresCatalogSearch:
    """See `bus.ports.search.CatalogSearch`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

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
        matches, title, kind, id_ = after or (None, "", "", "")
        parameters = {
            "tokens": list(query_tokens(question)),
            "zone": zone,
            "jurisdictions": None if jurisdictions is None else list(jurisdictions),
            "kinds": None if kinds is None else list(kinds),
            "matches": matches,
            "title": title,
            "kind": kind,
            "id": id_,
            "limit": limit,
        }
        with self._postgres.transaction() as connection:
            rows = connection.execute(statements(_FILE)["find"], parameters).fetchall()
        return [
            Found(kind=kind, id=id_, jurisdiction=jurisdiction, title=title, matches=matches)
            for kind, id_, jurisdiction, title, matches in rows
        ]
