"""The control plane's state in Postgres: SQL in files, alembic for its history."""
