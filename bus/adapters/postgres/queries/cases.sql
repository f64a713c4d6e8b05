-- name: case
-- One case.
SELECT version, content FROM onesource.control_case WHERE kind = %(kind)s AND id = %(id)s;

-- name: cases
-- Cases by what they are looked for.
SELECT version, content
  FROM onesource.control_case
 WHERE kind = %(kind)s
   AND id > %(after)s
   AND (%(jurisdiction)s::text IS NULL OR jurisdiction = %(jurisdiction)s)
   AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
   AND (%(resource)s::text IS NULL OR resource = %(resource)s)
   AND (%(provider)s::text IS NULL OR provider = %(provider)s)
   AND (%(consumer)s::text IS NULL OR consumer = %(consumer)s)
   AND (%(party)s::text IS NULL OR provider = %(party)s OR consumer = %(party)s)
 ORDER BY id
 LIMIT %(limit)s;

-- name: grants
-- Grants by what they are looked for, whatever their state; a retired resource has them, too.
SELECT g.version, g.state, v.content
  FROM onesource.share_grant g
  JOIN onesource.grant_version v ON v.grant_id = g.id AND v.version = g.version
  JOIN onesource.resource r ON r.code = g.resource
  JOIN onesource.entry_version e ON e.resource = r.code AND e.version = r.version
 WHERE g.id > %(after)s
   AND (%(jurisdiction)s::text IS NULL OR e.content ->> 'jurisdiction' = %(jurisdiction)s)
   AND (%(states)s::text[] IS NULL OR g.state = ANY (%(states)s))
   AND (%(resource)s::text IS NULL OR g.resource = %(resource)s)
   AND (%(provider)s::text IS NULL OR e.content ->> 'provider' = %(provider)s)
   AND (%(consumer)s::text IS NULL OR g.consumer = %(consumer)s)
   AND (%(party)s::text IS NULL
        OR g.consumer = %(party)s OR e.content ->> 'provider' = %(party)s)
 ORDER BY g.id
 LIMIT %(limit)s;

-- name: add_case
-- Add a case.
INSERT INTO onesource.control_case
       (kind, id, version, jurisdiction, state, resource, provider, consumer, content)
VALUES (%(kind)s, %(id)s, 1, %(jurisdiction)s, %(state)s, %(resource)s, %(provider)s,
        %(consumer)s, %(content)s)
    ON CONFLICT (kind, id) DO NOTHING
RETURNING version;

-- name: replace_case
-- Replace a case that has not changed since it was read.
UPDATE onesource.control_case
   SET version = version + 1, jurisdiction = %(jurisdiction)s, state = %(state)s,
       resource = %(resource)s, provider = %(provider)s, consumer = %(consumer)s,
       content = %(content)s, changed_at = now()
 WHERE kind = %(kind)s AND id = %(id)s AND version = %(version)s
RETURNING version;

-- name: claims
-- Which resources are the sources of given data elements.
SELECT element, resource
  FROM onesource.source_claim
 WHERE jurisdiction = %(jurisdiction)s AND element = ANY (%(elements)s);

-- name: release_claims
-- Make a resource the source of nothing.
DELETE FROM onesource.source_claim WHERE resource = %(resource)s;

-- name: claim
-- Make a resource the source of data elements; the key sees to it that each has one.
INSERT INTO onesource.source_claim (jurisdiction, element, resource)
SELECT %(jurisdiction)s, element, %(resource)s FROM unnest(%(elements)s::text[]) AS element;
