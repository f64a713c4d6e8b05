"""The subscriber's side: follow a subscription, as a stream of changes or into tables."""

from consumers.change import Change, ChangeKind, Meta
from consumers.descriptor import Descriptor
from consumers.subscriber import Subscriber

__all__ = ["Change", "ChangeKind", "Descriptor", "Meta", "Subscriber"]
