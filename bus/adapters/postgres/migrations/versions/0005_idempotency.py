"""Answers to requests that may be sent again."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
