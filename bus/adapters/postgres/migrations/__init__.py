"""alembic's environment and revisions; each revision is a pair of SQL files."""
