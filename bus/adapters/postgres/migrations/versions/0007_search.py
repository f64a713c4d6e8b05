"""What things of the catalog are found by."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create it."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
