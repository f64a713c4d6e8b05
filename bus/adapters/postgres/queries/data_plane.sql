-- name: incarnations
-- The view incarnations that have not ended, of all resources or of given ones.
SELECT topic, number, view, partitions, live, fill_end
  FROM onesource.incarnation
 WHERE ended_at IS NULL
   AND (%(resources)s::text[] IS NULL OR resource = ANY (%(resources)s))
 ORDER BY topic;

-- name: filling
-- The view incarnations that are not filled yet and have not ended.
SELECT topic, number, view, partitions, live, fill_end
  FROM onesource.incarnation
 WHERE ended_at IS NULL AND NOT live
 ORDER BY topic;

-- name: next_incarnation
-- The number of a view's next life.
SELECT coalesce(max(number), 0) + 1 FROM onesource.incarnation WHERE view_id = %(view_id)s;

-- name: open_incarnation
-- Begin a new life of a view.
INSERT INTO onesource.incarnation (topic, view_id, number, view, partitions)
VALUES (%(topic)s, %(view_id)s, %(number)s, %(view)s, %(partitions)s);

-- name: mark_live
-- Note that an incarnation is filled, and where.
UPDATE onesource.incarnation SET live = true, fill_end = %(fill_end)s WHERE topic = %(topic)s;

-- name: end_incarnation
-- End a life of a view.
UPDATE onesource.incarnation SET ended_at = %(at)s WHERE topic = %(topic)s AND ended_at IS NULL;

-- name: expired_topics
-- The topics of incarnations that ended longer ago than the replay window.
SELECT topic FROM onesource.incarnation
 WHERE ended_at < %(before)s AND topic_deleted_at IS NULL
 ORDER BY topic;

-- name: topic_deleted
-- Note that the topic of an ended incarnation is gone.
UPDATE onesource.incarnation SET topic_deleted_at = %(at)s WHERE topic = %(topic)s;

-- name: subscriptions
-- All subscriptions, or those on given resources.
SELECT s.id, s.principal, s.ended, s.topic, s.next_topic, s.blocked
  FROM onesource.subscription s
  JOIN onesource.share_grant g ON g.id = s.id
 WHERE %(resources)s::text[] IS NULL OR g.resource = ANY (%(resources)s)
 ORDER BY s.id;

-- name: save_subscription
-- Add or replace a subscription.
INSERT INTO onesource.subscription (id, principal, ended, topic, next_topic, blocked)
VALUES (%(id)s, %(principal)s, %(ended)s, %(topic)s, %(next_topic)s, %(blocked)s)
    ON CONFLICT (id) DO UPDATE
   SET ended = EXCLUDED.ended, topic = EXCLUDED.topic, next_topic = EXCLUDED.next_topic,
       blocked = EXCLUDED.blocked;

-- name: principals
-- All principals, or those with given names.
SELECT name, kind, owner, salt, iterations, stored_key, enabled
  FROM onesource.principal
 WHERE %(names)s::text[] IS NULL OR name = ANY (%(names)s)
 ORDER BY name;

-- name: principal
-- One principal.
SELECT name, kind, owner, salt, iterations, stored_key, enabled
  FROM onesource.principal
 WHERE name = %(name)s;

-- name: save_principal
-- Add or replace a principal.
INSERT INTO onesource.principal (name, kind, owner, salt, iterations, stored_key, enabled)
VALUES (%(name)s, %(kind)s, %(owner)s, %(salt)s, %(iterations)s, %(stored_key)s, %(enabled)s)
    ON CONFLICT (name) DO UPDATE
   SET salt = EXCLUDED.salt, iterations = EXCLUDED.iterations,
       stored_key = EXCLUDED.stored_key, enabled = EXCLUDED.enabled;
