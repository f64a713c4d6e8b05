"""Accounts of people and services, their tokens."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
