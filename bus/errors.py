"""
Every error the bus raises on purpose.

* BusError
  x ConfigError             the process must not start, the command cannot run here
    + PlatformNotRunning
    + PlatformDamaged
    + JarRefused
    + CredentialsMissing
  x Refused                 the caller asked for something that the rules do not allow
    + DefinitionInvalid     a file of `topics/` is not valid
    + FilterInvalid
    + EditionInvalid        a full edition (CSV, NDJSON) is not valid
    + RecordInvalid         one record does not fit its resource's entry
    + DeletionsNotConfirmed
    + NotFound              unknown, or not the caller's
    + Unauthenticated       nobody knows who asks
    + Forbidden             the caller may see it, but its role may not do this
    + StateConflict         the state it is in does not allow this; the message names the state
    + EditConflict          it was changed meanwhile: read it again
    + AccessDenied          Kafka refuses: no grant, or no longer
  x ContractError           the bytes break a published contract: dead-letter them
    + MalformedRecord
  x WriterFenced            another process writes in this one's place: this one must end
  x StopPartition           going on would lose or reorder records: stop and say why
    + PseudonymKeyUnusable
  x DeliveryFailed          the broker did not accept records that the caller handed over
  x SubscriptionEnded       the grant behind a subscription is over
  x ProfileKeyUnknown       code asks a jurisdiction profile for what profiles do not have
  x ProfileSilent           the profile does not say, and there is no default
  x TransientError          the same call may succeed later: retry it with back-off
    + DownloadFailed
    + BrokerUnavailable
    + StoreUnavailable
    + ControlUnavailable
    + IssuerUnavailable
    + TooManyAttempts
    + TransactionAborted
    + TransactionUnknown
"""

from collections.abc import Sequence


class BusError(Exception):
    """Base of every error raised on purpose by the bus."""

    #: Stable, documented, machine-readable: the same in logs, metric labels, dead letters and HTTP.
    code = "INTERNAL"


class ConfigError(BusError):
    """The process must not start; nothing has been changed."""

    code = "CONFIG_INVALID"


class PlatformNotRunning(ConfigError):
    """No embedded platform runs in this state folder."""

    code = "PLATFORM_NOT_RUNNING"


class PlatformDamaged(ConfigError):
    """The embedded platform cannot start from what its state folder holds."""

    code = "PLATFORM_DAMAGED"


class JarRefused(ConfigError):
    """A downloaded jar is not the one the lock list names."""

    code = "JAR_REFUSED"

    def __init__(self, coordinates: str, *, expected: str, got: str) -> None:
        super().__init__(
            f"{coordinates} has sha256 {got or 'none'}, but the lock list names {expected}; it was "
            "not used. Check the mirror you fetch from."
        )


class CredentialsMissing(ConfigError):
    """No credentials were given and none can be found."""

    code = "CREDENTIALS_MISSING"


class Refused(BusError):
    """The rules do not allow what was asked; nothing has been changed."""

    code = "REFUSED"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class DefinitionInvalid(Refused):
    """A definition file is not valid; the message names file, line and key of each fault."""

    code = "DEFINITION_INVALID"

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class FilterInvalid(Refused):
    """A row filter does not compile against the items of its resource."""

    code = "FILTER_INVALID"

    def __init__(self, expression: str, reason: str) -> None:
        super().__init__(f"row filter {expression!r} is not valid: {reason}")
        self.expression = expression
        self.reason = reason


class EditionInvalid(Refused):
    """A full edition cannot be published; the message names line and column."""

    code = "EDITION_INVALID"


class RecordInvalid(Refused):
    """A record does not fit its resource's entry; the message names the item."""

    code = "RECORD_INVALID"


class DeletionsNotConfirmed(Refused):
    """An edition would delete more than the agreed share of the records."""

    code = "DELETIONS_NOT_CONFIRMED"


class NotFound(Refused):
    """The thing does not exist, or the caller may not know that it does."""

    code = "NOT_FOUND"


class Unauthenticated(Refused):
    """There is no proof of who asks, or a wrong one; it is never said which."""

    code = "UNAUTHORISED"


class Forbidden(Refused):
    """The caller may see the thing, but its role may not do this to it."""

    code = "FORBIDDEN_ROLE"


class StateConflict(Refused):
    """The state that the thing is in does not allow this; the message names the state."""

    code = "STATE_CONFLICT"


class EditConflict(Refused):
    """The thing was changed since the caller read it: read it again."""

    code = "EDIT_CONFLICT"


class AccessDenied(Refused):
    """Kafka does not allow it: there is no grant, or there is none any more."""

    code = "ACCESS_DENIED"


class ContractError(BusError):
    """The bytes break a published contract. Retrying cannot help: dead-letter them."""

    code = "CONTRACT_BROKEN"


class MalformedRecord(ContractError):
    """The bytes are not a record of their writer schema; `code` says in which way."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class WriterFenced(BusError):
    """Another process took over the transactional id: this process must end at once."""

    code = "WRITER_FENCED"


class StopPartition(BusError):
    """Going on would lose or reorder records: the partition stops until an operator acts."""

    code = "PARTITION_STOPPED"


class PseudonymKeyUnusable(StopPartition):
    """A view has pseudonyms, and their secret is missing here, damaged, or open to others."""

    code = "PSEUDONYM_KEY_UNUSABLE"


class DeliveryFailed(BusError):
    """The broker did not accept records that the caller handed over."""

    code = "DELIVERY_FAILED"


class SubscriptionEnded(BusError):
    """The grant behind the subscription is over; nothing more will come."""

    code = "SUBSCRIPTION_ENDED"


class ProfileKeyUnknown(BusError):
    """A jurisdiction profile was asked for a key that profiles do not have."""

    code = "PROFILE_KEY_UNKNOWN"


class ProfileSilent(BusError):
    """A rule needs what the profile does not say; no default can stand in for it."""

    code = "PROFILE_SILENT"


class TransientError(BusError):
    """The same call may succeed later: retry it with back-off."""

    code = "TEMPORARILY_UNAVAILABLE"


class DownloadFailed(TransientError):
    """A jar could not be fetched."""

    code = "DOWNLOAD_FAILED"

    def __init__(self, coordinates: str, url: str, cause: Exception) -> None:
        super().__init__(
            f"could not fetch {coordinates} from {url}: {cause}. The first start needs the network "
            "(or ONESOURCE_MAVEN_MIRROR set to a mirror you can reach); what has been fetched is "
            "kept, so simply start again."
        )


class BrokerUnavailable(TransientError):
    """Kafka does not answer, or not in time."""

    code = "BROKER_UNAVAILABLE"


class StoreUnavailable(TransientError):
    """Postgres does not answer, or not in time."""

    code = "STORE_UNAVAILABLE"


class ControlUnavailable(TransientError):
    """The control plane does not answer, or not in time."""

    code = "CONTROL_UNAVAILABLE"


class IssuerUnavailable(TransientError):
    """The identity provider does not answer, or not in time, or not as it should."""

    code = "ISSUER_UNAVAILABLE"


class TooManyAttempts(TransientError):
    """Logging in has failed too often; the message says how long to wait."""

    code = "TOO_MANY_ATTEMPTS"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"logging in has failed too often: wait {seconds} s")
        self.seconds = seconds


class TransactionAborted(TransientError):
    """The Kafka transaction was aborted; the same records must be processed again."""

    code = "TRANSACTION_ABORTED"


class TransactionUnknown(TransientError):
    """The Kafka transaction may have been committed or not: the committed positions tell."""

    code = "TRANSACTION_UNKNOWN"
