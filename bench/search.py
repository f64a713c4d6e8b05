"""Catalog search: ten thousand Chinese entries in a Postgres, and questions about them."""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.contest import Latency, Options
from bus.adapters.embedded.postgres import STOP_SIGNAL, PostgresCluster
from bus.adapters.embedded.processes import free_port
from bus.adapters.embedded.supervisor import Part, Supervisor
from bus.adapters.postgres.migrate import upgrade
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.search import PostgresCatalogSearch, index
from bus.domain.organisation import Zone
from bus.domain.principal import new_password
from bus.ports.search import SearchDocument

#: What is found by, put together anew for each entry; the words are those of published catalogs.
_PLACES = """
海口市 三亚市 儋州市 文昌市 琼海市 万宁市 东方市 五指山市 定安县 屯昌县 澄迈县
临高县 白沙县 昌江县 乐东县 陵水县 保亭县 琼中县
""".split()
_BODIES = """
公安局 民政局 人力资源社会保障局 自然资源和规划局 住房城乡建设局 交通运输局 水务局
农业农村局 商务局 卫生健康委员会 应急管理局 市场监督管理局 统计局 医疗保障局
税务局 教育局 生态环境局 司法局 财政局 气象局
""".split()
_SUBJECTS = """
户籍人口 婚姻登记 社会保险缴费 不动产登记 建筑施工许可 道路运输经营许可 取水许可
农业补贴发放 对外贸易备案 医疗机构执业登记 安全生产许可 企业法人登记 统计调查单位
医保定点机构 纳税信用等级 学校学籍 排污许可 律师执业 财政专项资金 灾害预警
出生医学证明 残疾人证 低保对象 退役军人 驾驶证 房屋租赁备案 食品经营许可 特种设备
""".split()
_FORMS = "基本信息 登记信息 变更记录 年度名录 统计数据 电子证照 行政处罚 公示信息".split()
_ITEMS = """
统一社会信用代码 姓名 性别 出生日期 身份证件号码 联系电话 家庭住址 登记机关
登记日期 有效期起 有效期止 证件编号 法定代表人 注册资本 经营范围 行政区划代码
经度 纬度 面积 金额 状态 备注 数据更新时间 所属街道
""".split()
_LATIN = "GB/T ISO USCC API JSON register permit licence population marriage".split()
_JURISDICTION = "hainan"
_ENTRIES = 10_000
_QUESTIONS_PER_ROUND = 400
_LIMIT = 51
_READY_SECONDS = 60.0


def measure(options: Options) -> list[Latency]:
    """Ask about ten thousand entries, as somebody does who looks for one."""
    chance = random.Random(options.seed)
    entries = [_entry(number, chance) for number in range(_ENTRIES)]
    with _database() as dsn, psycopg.connect(dsn) as connection:
        started = time.perf_counter()
        for entry in entries:
            index(connection, entry)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE onesource.search_document")
        options.say(f"indexed {_ENTRIES:,} entries in {time.perf_counter() - started:.1f} s")
        postgres = Postgres(dsn, most=1)
        try:
            return _rounds(PostgresCatalogSearch(postgres), entries, chance, options)
        finally:
            postgres.close()


def _rounds(
    search: PostgresCatalogSearch,
    entries: Sequence[SearchDocument],
    chance: random.Random,
    options: Options,
) -> list[Latency]:
    times: dict[str, list[float]] = {}
    for number in range(options.rounds + 1):
        for _ in range(_QUESTIONS_PER_ROUND):
            kind, question = _question(entries, chance)
            started = time.perf_counter()
            search.find(question, zone=Zone.EXTERNAL, limit=_LIMIT)
            if number:
                times.setdefault(kind, []).append((time.perf_counter() - started) * 1000)
        options.say(f"catalog search, round {number} of {options.rounds}")
    everything = tuple(each for found in times.values() for each in found)
    kinds = [
        Latency("catalog-search", f"search, {kind}", tuple(found))
        for kind, found in sorted(times.items())
    ]
    return [Latency("catalog-search", "search, all questions", everything), *kinds]


def _question(entries: Sequence[SearchDocument], chance: random.Random) -> tuple[str, str]:
    entry = chance.choice(entries)
    kind = chance.choices(
        ["part of a title", "a whole title", "two words", "an item", "a common word", "Latin"],
        [40, 10, 20, 10, 10, 10],
    )[0]
    match kind:
        case "a whole title":
            return kind, entry.title
        case "two words":
            return kind, f"{chance.choice(_PLACES)[:2]} {chance.choice(_SUBJECTS)[:4]}"
        case "an item":
            return kind, chance.choice(_ITEMS)
        case "a common word":
            return kind, chance.choice(["信息", "登记", "许可", "数据", "市"])
        case "Latin":
            return kind, chance.choice(_LATIN)[: chance.randint(2, 6)]
    start = chance.randrange(len(entry.title) - 4)
    return kind, entry.title[start : start + chance.randint(2, 6)]


def _entry(number: int, chance: random.Random) -> SearchDocument:
    body = chance.choice(_PLACES) + chance.choice(_BODIES)
    title = f"{body}{chance.choice(_SUBJECTS)}{chance.choice(_FORMS)}"
    return SearchDocument(
        kind="entry",
        id=f"entry-{number}",
        jurisdiction=_JURISDICTION,
        zone=Zone.EXTERNAL,
        title=title,
        titles=(f"{chance.choice(_LATIN)} {number}",),
        texts=(body, *chance.sample(_ITEMS, 10), *chance.sample(_LATIN, 2)),
    )


@contextmanager
def _database() -> Iterator[str]:
    """Run a Postgres of our own, with the control plane's tables; yields its connection string."""
    with tempfile.TemporaryDirectory(prefix="onesource-bench-") as name:
        root = Path(name)
        cluster = PostgresCluster(
            folder=root / "postgres", port=free_port(), superuser_password=new_password()
        )
        cluster.prepare()
        supervisor = Supervisor()
        supervisor.start(_part(cluster, root))
        try:
            upgrade(cluster.dsn())
            yield cluster.dsn()
        finally:
            supervisor.stop()


def _part(cluster: PostgresCluster, root: Path) -> Part:
    def ready() -> bool:
        try:
            psycopg.connect(cluster.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    return Part(
        name="postgres",
        command=cluster.command(),
        log=root / "postgres.log",
        ready=ready,
        ready_seconds=_READY_SECONDS,
        user=cluster.user,
        stop_signal=STOP_SIGNAL,
    )
