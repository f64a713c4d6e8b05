"""
The names that the bus gives to things in Kafka, and what a code may look like.

A code (of an organisation, a resource, a jurisdiction, a grant, a subscription) becomes part of
topic names, principals and consumer groups, so it is lower-case ASCII without dots.
"""

import re

CODE_PATTERN = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
CODE_MAX_LENGTH = 48
ITEM_NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_]*"

#: How the names of all topics of the bus begin.
TOPIC_PREFIX = "os."
#: Kafka's own topic of what consumer groups have committed.
OFFSETS_TOPIC = "__consumer_offsets"
POLICY_TOPIC = "os.policy"
ROUTER_STATE_TOPIC = "os.state.router"
ROUTER_GROUP = "os.router"
AUDIT_CHECKPOINT_TOPIC = "os.audit.checkpoints"

#: Keywords and type names of CEL, so that no data item may be called so.
CEL_RESERVED = frozenset(
    """
    as bool break bytes const continue double dyn else false for function if import in int let list
    loop map namespace null null_type package return string this true type uint var void while
    """.split()
)
#: Names of types in Avro, and in the schemas that the bus makes: no type of an item is called so.
TYPE_NAMES_TAKEN = frozenset(
    """
    null boolean int long float double bytes string array enum error fixed map record union
    EventId Mark Record SourceMeta View ViewMeta
    """.split()
)
#: The first field of every record belongs to the bus.
META = "meta"
#: How the columns begin that the bus adds to a subscriber's tables.
OWN_COLUMNS = "os_"

_CODE = re.compile(CODE_PATTERN)
_ITEM_NAME = re.compile(ITEM_NAME_PATTERN)
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def is_code(text: str) -> bool:
    """Tell whether `text` may be the code of an organisation, resource, grant or subscription."""
    return len(text) <= CODE_MAX_LENGTH and _CODE.fullmatch(text) is not None


def is_item_name(text: str) -> bool:
    """
    Tell whether `text` may name a data item: an Avro name that CEL can spell, not one of ours.

    `meta` is the first field of every record, and `os_` begins the columns that sinks add.
    """
    return (
        len(text) <= CODE_MAX_LENGTH
        and _ITEM_NAME.fullmatch(text) is not None
        and text not in CEL_RESERVED
        and text != META
        and not text.startswith(OWN_COLUMNS)
    )


def is_symbol(text: str) -> bool:
    """Tell whether `text` may be an enum symbol or the name of a nested field: an Avro name."""
    return _SYMBOL.fullmatch(text) is not None


def is_type_name(text: str) -> bool:
    """Tell whether `text` may name a type inside an item: an Avro name that is still free."""
    return is_symbol(text) and text not in TYPE_NAMES_TAKEN


def source_topic(jurisdiction: str, provider: str, resource: str, generation: int) -> str:
    """Return the topic that the provider of a resource, and nobody else, writes."""
    return f"os.src.{jurisdiction}.{provider}.{resource}.{generation}"


def view_topic(jurisdiction: str, resource: str, view_id: str, incarnation: int) -> str:
    """Return the topic of one life of a view; a name is never used again."""
    return f"os.view.{jurisdiction}.{resource}.{view_id}.{incarnation}"


def dead_letter_topic(jurisdiction: str, resource: str) -> str:
    """Return the topic of the records of a resource that nobody may receive."""
    return f"os.dlq.{jurisdiction}.{resource}"


def value_subject(topic: str) -> str:
    """Return the registry subject of a topic's values (TopicNameStrategy)."""
    return f"{topic}-value"


def provider_principal(organisation: str) -> str:
    """Return the Kafka user that an organisation publishes as."""
    return f"org-{organisation}"


def subscription_principal(subscription: str) -> str:
    """Return the Kafka user of one subscription."""
    return f"sub-{subscription}"


def group_prefix(principal: str) -> str:
    """Return the prefix that every consumer group of `principal` must have."""
    return f"os.{principal}."
