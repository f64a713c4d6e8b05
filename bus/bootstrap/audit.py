"""The audit log for the command line, and where its signing key is."""

from pathlib import Path

from bus.adapters.signing_key_file import FILE_NAME
from bus.settings import Settings

_KEYS_FOLDER = "keys"


def audit_key_path(settings: Settings) -> Path:
    """Return where the key is that signs checkpoints."""
    return settings.audit.key_file or settings.state_folder / _KEYS_FOLDER / FILE_NAME
