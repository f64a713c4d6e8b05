"""
The registry endpoint: Confluent's REST API over schemas that follow from the catalog.

It registers nothing: a schema that is equal to a registered one gets its id, anything else is sent
to the catalog. A principal sees the subjects of the topics that it may read, and no others.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from bus.control.authentication import Caller, sees_everything
from bus.control.problems import REGISTRY_MEDIA_TYPE, RegistryRefusal
from bus.control.rate_limits import limit_principal
from bus.control.responses import registry_problems
from bus.domain.principal import Principal
from bus.errors import ContractError
from bus.ports import CatalogReader
from bus.ports.registry import SchemaRegistry, SubjectVersion
from bus.services.catalog_changes import Incompatibilities


class _RegistryAnswer(JSONResponse):
    """What the document says that answers are."""

    media_type = REGISTRY_MEDIA_TYPE


router = APIRouter(
    tags=["schema registry"],
    dependencies=[limit_principal],
    default_response_class=_RegistryAnswer,
    responses=registry_problems(),
)

COMPATIBILITY = "BACKWARD_TRANSITIVE"
MAX_SCHEMA_CHARACTERS = 1 << 20
_SUFFIX = "-value"
_NO_SUBJECT = 40401
_MAX_INT = (1 << 31) - 1


class SchemaBody(BaseModel):
    """A schema that a client asks about."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    text: str = Field(alias="schema", max_length=MAX_SCHEMA_CHARACTERS)
    schemaType: str = "AVRO"  # noqa: N815 (the API's name)


class Registry:
    """The registry as one caller sees it."""

    def __init__(self, request: Request, caller: Caller) -> None:
        self._schemas: SchemaRegistry = request.app.state.schemas
        self._reader: CatalogReader = request.app.state.reader
        self._caller: Principal = caller

    def subjects(self) -> list[str]:
        """Return the subjects that the caller may see."""
        if sees_everything(self._caller):
            return list(self._schemas.subjects())
        return sorted(topic + _SUFFIX for topic in self._reader.topics_of(self._caller))

    def versions(self, subject: str) -> list[SubjectVersion]:
        """Return the versions of a subject; refuse one that the caller may not see."""
        found = list(self._schemas.subject_versions(subject)) if self._sees(subject) else []
        if not found:
            raise RegistryRefusal(404, _NO_SUBJECT, f"Subject '{subject}' not found.")
        return found

    def version(self, subject: str, number: str) -> SubjectVersion:
        """Return one version of a subject: a number, or `latest`."""
        found = self.versions(subject)
        if number in ("latest", "-1"):
            return found[-1]
        if not _is_version(number):
            raise RegistryRefusal(422, 42202, f"The specified version '{number}' is not valid.")
        for version in found:
            if version.version == int(number):
                return version
        raise RegistryRefusal(404, 40402, f"Version {number} not found.")

    def uses(self, schema_id: int) -> list[SubjectVersion]:
        """Return where a schema is used, as far as the caller may see."""
        uses = self._schemas.subjects_of(schema_id) if schema_id <= _MAX_INT else ()
        found = [use for use in uses if self._sees(use.subject)]
        if not found:
            raise RegistryRefusal(404, 40403, f"Schema {schema_id} not found.")
        return found

    def find(self, subject: str, body: SchemaBody) -> SubjectVersion | None:
        """Return the version of `subject` that is the schema in `body`."""
        wanted = _parsed(body)
        for version in self.versions(subject):
            if json.loads(version.text) == wanted:
                return version
        return None

    def registered(self, subject: str, body: SchemaBody) -> SubjectVersion | None:
        """Do as `find`, but do not tell whether there is such a subject."""
        try:
            return self.find(subject, body)
        except RegistryRefusal as refusal:
            if refusal.error_code == _NO_SUBJECT:
                return None
            raise

    def _sees(self, subject: str) -> bool:
        if sees_everything(self._caller):
            return True
        topic = subject.removesuffix(_SUFFIX)
        return topic != subject and topic in self._reader.topics_of(self._caller)


View = Annotated[Registry, Depends(Registry)]
SchemaId = Annotated[int, Path(ge=1)]


def _is_version(number: str) -> bool:
    if not number.isascii() or not number.isdigit() or len(number) > len(str(_MAX_INT)):
        return False
    return 1 <= int(number) <= _MAX_INT


def _answer(content: Any) -> Response:  # noqa: ANN401 (JSON)
    return Response(json.dumps(content, ensure_ascii=False), media_type=REGISTRY_MEDIA_TYPE)


def _parsed(body: SchemaBody) -> Any:  # noqa: ANN401 (JSON)
    if body.schemaType != "AVRO":
        raise RegistryRefusal(422, 42201, f"Invalid schema: there is no type {body.schemaType}")
    try:
        return json.loads(body.text)
    except (ValueError, RecursionError) as error:
        raise RegistryRefusal(422, 42201, f"Invalid schema: {error}") from error


def _described(version: SubjectVersion) -> dict[str, object]:
    return {
        "subject": version.subject,
        "id": version.schema_id,
        "version": version.version,
        "schema": version.text,
    }


@router.get("/schemas/ids/{schema_id}")
def schema_by_id(schema_id: SchemaId, registry: View) -> Response:
    """Return a schema by its id."""
    return _answer({"schema": registry.uses(schema_id)[0].text})


@router.get("/schemas/ids/{schema_id}/schema")
def schema_text_by_id(schema_id: SchemaId, registry: View) -> Response:
    """Return nothing but the text of a schema."""
    return Response(registry.uses(schema_id)[0].text, media_type=REGISTRY_MEDIA_TYPE)


@router.get("/schemas/ids/{schema_id}/versions")
def schema_uses(schema_id: SchemaId, registry: View) -> Response:
    """Return the subject versions that a schema is."""
    uses = registry.uses(schema_id)
    return _answer([{"subject": use.subject, "version": use.version} for use in uses])


@router.get("/schemas/types")
def schema_types(_caller: Caller) -> Response:
    """Return the kinds of schema there are."""
    return _answer(["AVRO"])


@router.get("/subjects")
def subjects(registry: View) -> Response:
    """Return the subjects that the caller may see."""
    return _answer(registry.subjects())


@router.get("/subjects/{subject}/versions")
def subject_versions(subject: str, registry: View) -> Response:
    """Return the version numbers of a subject."""
    return _answer([version.version for version in registry.versions(subject)])


@router.get("/subjects/{subject}/versions/{version}")
def subject_version(subject: str, version: str, registry: View) -> Response:
    """Return one version of a subject."""
    return _answer(_described(registry.version(subject, version)))


@router.get("/subjects/{subject}/versions/{version}/schema")
def subject_version_text(subject: str, version: str, registry: View) -> Response:
    """Return nothing but the schema of one version."""
    return Response(registry.version(subject, version).text, media_type=REGISTRY_MEDIA_TYPE)


@router.post("/subjects/{subject}")
def look_up(subject: str, body: SchemaBody, registry: View) -> Response:
    """Return the version of a subject that has this schema."""
    found = registry.find(subject, body)
    if found is None:
        raise RegistryRefusal(404, 40403, "Schema not found.")
    return _answer(_described(found))


@router.post("/subjects/{subject}/versions")
def register(subject: str, body: SchemaBody, registry: View) -> Response:
    """Return the id of an equal schema; send everything else to the catalog."""
    found = registry.registered(subject, body)
    if found is None:
        raise RegistryRefusal(
            409,
            409,
            "Schemas follow from the catalog: change the resource's entry (topics/<resource>.yaml) "
            "and run `onesource catalog apply`.",
        )
    return _answer({"id": found.schema_id})


@router.post("/compatibility/subjects/{subject}/versions/{version}")
def check_compatibility(
    subject: str,
    version: str,
    body: SchemaBody,
    request: Request,
    registry: View,
    *,
    verbose: bool = False,
) -> Response:
    """Tell whether a schema could read what one version of a subject wrote."""
    _parsed(body)
    older = registry.version(subject, version)
    incompatibilities: Incompatibilities = request.app.state.incompatibilities
    try:
        reasons = incompatibilities(body.text, [older.text])
    except ContractError as error:
        raise RegistryRefusal(422, 42201, f"Invalid schema: {error}") from error
    answer: dict[str, object] = {"is_compatible": not reasons}
    if verbose:
        answer["messages"] = reasons
    return _answer(answer)


@router.get("/config")
def config(_caller: Caller) -> Response:
    """Return the compatibility rule, which is the same for all subjects."""
    return _answer({"compatibilityLevel": COMPATIBILITY})


@router.get("/config/{subject}")
def subject_config(subject: str, registry: View) -> Response:
    """Return the compatibility rule of a subject."""
    registry.versions(subject)
    return _answer({"compatibilityLevel": COMPATIBILITY})


@router.get("/mode")
def mode(_caller: Caller) -> Response:
    """Return how far the registry may be written: not at all."""
    return _answer({"mode": "READONLY"})
