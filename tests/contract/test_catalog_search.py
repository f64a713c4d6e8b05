"""Finding things by their texts: one suite, held by Postgres and by memory."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import psycopg
import pytest

from bus.adapters.memory.search import MemoryCatalogSearch
from bus.adapters.postgres import search as postgres_search
from bus.adapters.postgres.pool import Postgres
from bus.domain.organisation import Zone
from bus.ports.search import CatalogSearch, Found, SearchDocument
from tests.live_platform import LivePlatform

MARRIAGES = SearchDocument(
    kind="entry",
    id="marriages",
    jurisdiction="hainan",
    zone=Zone.EXTERNAL,
    title="婚姻登记信息",
    titles=("Marriage registration",),
    texts=("海口市民政局", "证件编号", "姓名"),
)
POPULATION = replace(
    MARRIAGES,
    id="population",
    title="户籍人口基本信息",
    titles=("Population",),
    texts=("海口市公安局", "姓名", "婚姻状况", "登记日期"),
)
ELSEWHERE = replace(MARRIAGES, id="elsewhere", jurisdiction="guizhou")
INSIDE = replace(MARRIAGES, id="inside", zone=Zone.INTERNAL)
DEMAND = replace(MARRIAGES, kind="demand", id="marriages")
EVERYTHING = (MARRIAGES, POPULATION, ELSEWHERE, INSIDE, DEMAND)


@dataclass
class Index:
    """The adapter under test, and how things come into its index."""

    search: CatalogSearch
    put: Callable[[SearchDocument], None]
    remove: Callable[[str, str], None]

    def ids(self, question: str, **filters: object) -> list[str]:
        """Return what is found, in order."""
        found = self.search.find(question, **{"limit": 50, **filters})  # type: ignore[arg-type]
        return [each.id for each in found]


@pytest.fixture(scope="module")
def dsn(request: pytest.FixtureRequest) -> str:
    """Return a database of this module's own."""
    platform: LivePlatform = request.getfixturevalue("platform")
    return platform.new_control_database()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.platform)])
def index(request: pytest.FixtureRequest) -> Iterator[Index]:
    """Return each adapter in turn, with an index of five things."""
    if request.param == "memory":
        memory = MemoryCatalogSearch()
        made = Index(memory, memory.index, memory.remove)
        for document in EVERYTHING:
            made.put(document)
        yield made
        return
    dsn: str = request.getfixturevalue("dsn")
    postgres = Postgres(dsn)

    def put(document: SearchDocument) -> None:
        with postgres.transaction() as connection:
            postgres_search.index(connection, document)

    def remove(kind: str, id_: str) -> None:
        with postgres.transaction() as connection:
            postgres_search.remove(connection, kind, id_)

    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM onesource.search_document")
    made = Index(postgres_search.PostgresCatalogSearch(postgres), put, remove)
    for document in EVERYTHING:
        made.put(document)
    yield made
    postgres.close()


def test_what_has_it_in_its_title_comes_first(index: Index) -> None:
    assert index.ids("婚姻", zone=Zone.EXTERNAL, jurisdictions=["hainan"], kinds=["entry"]) == [
        "marriages",
        "population",
    ]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("婚姻登记", ["marriages"]),
        ("登记", ["marriages", "population"]),
        ("人", ["population"]),
        ("海口 民政", ["marriages"]),
        ("民政 公安", []),
        ("marr", ["marriages"]),
        ("MARRIAGE  reg", ["marriages"]),
        ("arriage", []),
        ("没有", []),
        ("", ["marriages", "population"]),
        ("%", ["marriages", "population"]),
        ("'; DELETE FROM onesource.search_document; --", []),
    ],
)
def test_what_is_found(index: Index, question: str, found: list[str]) -> None:
    """Issue: search over the catalog, Chinese full text too; SQL injection."""
    filters = {"zone": Zone.EXTERNAL, "jurisdictions": ["hainan"], "kinds": ["entry"]}

    assert index.ids(question, **filters) == found


def test_filters_leave_out_what_the_reader_may_not_see(index: Index) -> None:
    assert sorted(index.ids("婚姻登记")) == ["elsewhere", "inside", "marriages", "marriages"]
    assert index.ids("婚姻登记", jurisdictions=["guizhou"]) == ["elsewhere"]
    assert index.ids("婚姻登记", zone=Zone.INTERNAL) == ["inside"]
    assert index.ids("婚姻登记", kinds=["demand"]) == ["marriages"]
    assert index.ids("婚姻登记", jurisdictions=[]) == []


def test_a_change_replaces_what_there_was(index: Index) -> None:
    index.put(replace(MARRIAGES, title="结婚证", titles=()))

    assert index.ids("结婚证") == ["marriages"]
    assert index.ids("婚姻登记", kinds=["entry"], jurisdictions=["hainan"]) == ["inside"]


def test_what_is_removed_is_not_found(index: Index) -> None:
    index.remove("entry", "marriages")
    index.remove("entry", "never-there")

    assert index.ids("婚姻", kinds=["entry"], jurisdictions=["hainan"]) == ["inside", "population"]


def test_pages_together_are_everything_once(index: Index) -> None:
    for number in range(20):
        index.put(replace(MARRIAGES, id=f"more-{number}", title=f"婚姻{number % 3}登记"))
    whole = index.search.find("登记", limit=100)
    pages: list[Found] = []
    for _ in itertools.count():
        page = index.search.find("登记", after=pages[-1].key if pages else None, limit=4)
        if not page:
            break
        pages += page

    assert len(whole) == 25
    assert pages == list(whole)


def test_an_answer_says_what_was_found(index: Index) -> None:
    (found,) = index.search.find("户籍人口", limit=1)

    assert found == Found(
        kind="entry",
        id="population",
        jurisdiction="hainan",
        title="户籍人口基本信息",
        matches=3,
    )
