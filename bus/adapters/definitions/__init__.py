"""Organisations, catalog entries and grants as reviewed YAML files (the folder `topics/`)."""
