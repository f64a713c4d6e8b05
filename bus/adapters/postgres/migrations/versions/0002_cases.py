"""What the control plane decides on: documents, their deadlines, their events."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
