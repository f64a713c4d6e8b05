"""Read a decree about working days from a reviewed file."""

import datetime as dt
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bus.adapters.definitions.yaml_file import read_yaml
from bus.domain.calendar_amendment import Decree
from bus.errors import DefinitionInvalid

_Days = Annotated[list[dt.date], Field(max_length=366)]


class _DecreeFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    ordinance: Annotated[str, Field(min_length=1, max_length=200)]
    decreed_on: dt.date
    # Not `off`: in YAML that word is false.
    days_off: _Days = []
    working_days: _Days = []
    whole_year: Annotated[int, Field(ge=1949, le=9998)] | None = None


def load_decree(path: Path) -> Decree:
    """Return the decree in the file `path`; raise `DefinitionInvalid` with every fault."""
    file = read_yaml(path)
    try:
        model = _DecreeFile.model_validate(file.content)
    except ValidationError as error:
        faults = [file.fault(fault["loc"], fault["msg"]) for fault in error.errors()]
        raise DefinitionInvalid(faults) from error
    decree = Decree(
        country=model.country,
        ordinance=model.ordinance,
        decreed_on=model.decreed_on,
        days_off=tuple(model.days_off),
        working_days=tuple(model.working_days),
        whole_year=model.whole_year,
    )
    faults = [file.fault((key,), message) for key, message in decree.faults()]
    if faults:
        raise DefinitionInvalid(faults)
    return decree
