"""The evidence: a hash chain over the audit log, signed checkpoints, and who could read what."""
