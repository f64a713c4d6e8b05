"""The control plane's HTTP side: registry endpoint and descriptors; the portal later."""
