-- name: delivery
-- A subscription with its grant, entry and incarnation.
SELECT s.principal, s.ended, s.topic, s.next_topic, s.blocked,
       g.version, g.state, gv.content,
       r.version, ev.content,
       i.number, i.view, i.partitions, i.live, i.fill_end
  FROM onesource.subscription s
  JOIN onesource.share_grant g ON g.id = s.id
  JOIN onesource.grant_version gv ON gv.grant_id = g.id AND gv.version = g.version
  JOIN onesource.resource r ON r.code = gv.content ->> 'resource'
  JOIN onesource.entry_version ev ON ev.resource = r.code AND ev.version = r.version
  JOIN onesource.incarnation i ON i.topic = s.topic
 WHERE s.id = %(id)s;

-- name: publication
-- The entry in force of a resource, with its schema.
SELECT r.version, ev.content, s.id, s.text
  FROM onesource.resource r
  JOIN onesource.entry_version ev ON ev.resource = r.code AND ev.version = r.version
  JOIN onesource.avro_schema s ON s.id = ev.schema_id
 WHERE r.code = %(resource)s AND NOT r.retired;

-- name: subscription_topics
-- The topics that a subscription may read.
SELECT topic, next_topic FROM onesource.subscription
 WHERE id = %(id)s AND NOT ended AND NOT blocked;

-- name: provided_entries
-- The entries in force of a provider.
SELECT ev.content
  FROM onesource.resource r
  JOIN onesource.entry_version ev ON ev.resource = r.code AND ev.version = r.version
 WHERE NOT r.retired AND ev.content ->> 'provider' = %(provider)s
 ORDER BY r.code;
