-- name: policy_objects
-- What the newest policy version holds, of all objects or of given ones.
SELECT object_id, value
  FROM onesource.policy_object
 WHERE %(ids)s::text[] IS NULL OR object_id = ANY (%(ids)s);

-- name: next_policy_version
-- Take the next version number; the row stays locked until this transaction ends.
UPDATE onesource.policy_version SET version = version + 1 RETURNING version;

-- name: policy_version
-- The newest version, published or not.
SELECT version FROM onesource.policy_version;

-- name: save_policy_object
-- Keep what a policy object is now.
INSERT INTO onesource.policy_object (object_id, value)
VALUES (%(object_id)s, %(value)s)
    ON CONFLICT (object_id) DO UPDATE SET value = EXCLUDED.value;

-- name: remove_policy_object
-- Forget a policy object.
DELETE FROM onesource.policy_object WHERE object_id = %(object_id)s;

-- name: queue
-- Queue a record for the relay.
INSERT INTO onesource.outbox (policy_version, topic, key, value)
VALUES (%(policy_version)s, %(topic)s, %(key)s, %(value)s);

-- name: next_rows
-- The rows of the oldest version that waits.
SELECT sequence, policy_version, topic, key, value
  FROM onesource.outbox
 WHERE policy_version = (SELECT min(policy_version) FROM onesource.outbox)
 ORDER BY sequence;

-- name: pending_versions
-- How many versions wait for the relay.
SELECT count(DISTINCT policy_version) FROM onesource.outbox;

-- name: published
-- Forget what has been published.
DELETE FROM onesource.outbox WHERE policy_version <= %(version)s;
