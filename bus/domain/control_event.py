"""Events of the control plane (requirements.md §7), for whoever follows `os.events.<group>`."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlEvent:
    """Something happened; `type` is a name of requirements §7 such as `request.approved`."""

    event_id: str
    type: str
    occurred_at: dt.datetime
    jurisdiction: str
    actor_organisation: str
    subject: str
    profile: str = ""
    profile_version: str = ""
    trace_id: str = ""
    content: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The group of the type: what its topic is called after."""
        return self.type.partition(".")[0]
