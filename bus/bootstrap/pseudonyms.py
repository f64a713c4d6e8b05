"""Where the secrets of pseudonyms are. Routers and verifications read them, nobody else does."""

from pathlib import Path

from bus.adapters.pseudonym_secret_files import PseudonymSecretFiles
from bus.settings import Settings

_KEYS_FOLDER = "keys"
#: In the folder of keys, and in what `onesource init` prepares.
FOLDER_NAME = "pseudonyms"


def default_folder(state_folder: Path) -> Path:
    """Return where the secrets are if no setting says so."""
    return state_folder / _KEYS_FOLDER / FOLDER_NAME


def pseudonym_secrets(settings: Settings) -> PseudonymSecretFiles:
    """Return the secrets of this installation; nothing is read before one is asked for."""
    return PseudonymSecretFiles(settings.pseudonyms.folder or default_folder(settings.state_folder))
