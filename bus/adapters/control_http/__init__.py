"""The control plane's HTTP API, as publishers and subscribers use it."""
