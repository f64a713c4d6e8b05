"""What request bodies have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: The most characters of a text that says nothing else.
MAX_TEXT_CHARACTERS = 10_000
MAX_NAME_CHARACTERS = 200
MAX_ITEMS = 1_000

#: A title, a name, a document number: at least one character.
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]


class StrictModel(BaseModel):
    """
    The base of request bodies: unknown members are refused, texts are bounded.

    NUL, halves of surrogate pairs, too deep nesting and numbers beyond 2^53 do not come this far:
    `bus.control.bodies` refuses them. Lists bound themselves (`Field(max_length=…)`).
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        str_max_length=MAX_TEXT_CHARACTERS,
    )
