"""Amendments of the working-day calendar."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
