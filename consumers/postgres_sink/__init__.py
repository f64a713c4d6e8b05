"""The front-end database (前置库): a view kept up to date in a subscriber's own Postgres tables."""
