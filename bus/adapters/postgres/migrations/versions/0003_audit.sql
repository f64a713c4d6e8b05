-- The audit log, its checkpoints.
SELECT 1;
