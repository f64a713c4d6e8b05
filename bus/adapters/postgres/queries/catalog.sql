-- name: lock
-- Make this the only transaction that changes the control plane.
SELECT version FROM onesource.policy_version FOR UPDATE;

-- name: organisations
-- All organisations, or those that provide or receive given resources.
SELECT content
  FROM onesource.organisation
 WHERE %(resources)s::text[] IS NULL
    OR code IN (
           SELECT ev.content ->> 'provider'
             FROM onesource.resource r
             JOIN onesource.entry_version ev ON ev.resource = r.code AND ev.version = r.version
            WHERE r.code = ANY (%(resources)s)
            UNION
           SELECT consumer FROM onesource.share_grant WHERE resource = ANY (%(resources)s)
       )
 ORDER BY code;

-- name: governed
-- The jurisdictions that were set up through the API.
SELECT id FROM onesource.control_case WHERE kind = 'jurisdiction';

-- name: organisation
-- One organisation.
SELECT content FROM onesource.organisation WHERE code = %(code)s;

-- name: provided
-- The entries in force of given providers.
SELECT v.content
  FROM onesource.resource r
  JOIN onesource.entry_version v ON v.resource = r.code AND v.version = r.version
 WHERE NOT r.retired AND v.content ->> 'provider' = ANY (%(providers)s)
 ORDER BY r.code;

-- name: snapshot
-- Read one state, and wait for nobody.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: sources
-- Who provides what, of all entries in force.
SELECT v.content ->> 'jurisdiction', v.content ->> 'provider', r.code, v.generation
  FROM onesource.resource r
  JOIN onesource.entry_version v ON v.resource = r.code AND v.version = r.version
 WHERE NOT r.retired
 ORDER BY r.code;

-- name: active_organisations
-- Who takes part.
SELECT code FROM onesource.organisation
 WHERE coalesce((content ->> 'active')::boolean, true)
 ORDER BY code;

-- name: over
-- The resources with active grants whose last day is over.
SELECT DISTINCT resource FROM onesource.share_grant
 WHERE state = 'ACTIVE' AND valid_until < %(today)s
 ORDER BY resource;

-- name: save_organisation
-- Register an organisation, or replace what is known of it.
INSERT INTO onesource.organisation (code, content)
VALUES (%(code)s, %(content)s)
    ON CONFLICT (code) DO UPDATE SET content = EXCLUDED.content, changed_at = now();

-- name: entries
-- Every resource, or given ones, with its newest entry version.
SELECT r.version, r.retired, v.content
  FROM onesource.resource r
  JOIN onesource.entry_version v ON v.resource = r.code AND v.version = r.version
 WHERE %(resources)s::text[] IS NULL OR r.code = ANY (%(resources)s)
 ORDER BY r.code;

-- name: save_resource
-- Note the newest version of a resource.
INSERT INTO onesource.resource (code, version)
VALUES (%(resource)s, %(version)s)
    ON CONFLICT (code) DO UPDATE SET version = EXCLUDED.version;

-- name: save_entry_version
-- Keep an entry version; versions never change.
INSERT INTO onesource.entry_version (resource, version, generation, schema_id, content)
VALUES (%(resource)s, %(version)s, %(generation)s, %(schema_id)s, %(content)s);

-- name: retire_resource
-- Take a resource out of the catalog.
UPDATE onesource.resource SET retired = true WHERE code = %(resource)s;

-- name: writer_schemas
-- The schemas of a resource generation, each with the newest entry version that has it.
SELECT s.id, max(v.version) AS entry_version, s.text
  FROM onesource.entry_version v
  JOIN onesource.avro_schema s ON s.id = v.schema_id
 WHERE v.resource = %(resource)s AND v.generation = %(generation)s
 GROUP BY s.id, s.text
 ORDER BY entry_version;

-- name: grants
-- Every grant with its newest version; or those on given resources that have not ended.
SELECT g.version, g.state, v.content
  FROM onesource.share_grant g
  JOIN onesource.grant_version v ON v.grant_id = g.id AND v.version = g.version
 WHERE %(resources)s::text[] IS NULL
    OR (g.resource = ANY (%(resources)s) AND g.state IN ('AUTHORISED', 'ACTIVE', 'SUSPENDED'))
 ORDER BY g.id;

-- name: grant
-- One grant with its newest version.
SELECT g.version, g.state, v.content
  FROM onesource.share_grant g
  JOIN onesource.grant_version v ON v.grant_id = g.id AND v.version = g.version
 WHERE g.id = %(id)s;

-- name: grant_version
-- A grant as it was in one of its versions.
SELECT content FROM onesource.grant_version WHERE grant_id = %(id)s AND version = %(version)s;

-- name: save_grant
-- Note the newest version and the state of a grant.
INSERT INTO onesource.share_grant (id, version, state, resource, consumer, valid_until)
VALUES (%(id)s, %(version)s, %(state)s, %(resource)s, %(consumer)s, %(valid_until)s)
    ON CONFLICT (id) DO UPDATE
   SET version = EXCLUDED.version, state = EXCLUDED.state, valid_until = EXCLUDED.valid_until;

-- name: save_grant_version
-- Keep a grant version; versions never change.
INSERT INTO onesource.grant_version (grant_id, version, content)
VALUES (%(id)s, %(version)s, %(content)s)
    ON CONFLICT (grant_id, version) DO NOTHING;

-- name: find_schema
-- The id of a schema by its digest.
SELECT id FROM onesource.avro_schema WHERE digest = %(digest)s;

-- name: add_schema
-- Give a schema an id.
INSERT INTO onesource.avro_schema (text, digest) VALUES (%(text)s, %(digest)s) RETURNING id;

-- name: add_to_subject
-- Make a schema the next version of a subject, unless it is one already.
INSERT INTO onesource.subject_version (subject, version, schema_id)
SELECT %(subject)s, coalesce(max(version), 0) + 1, %(schema_id)s
  FROM onesource.subject_version
 WHERE subject = %(subject)s
HAVING coalesce(bool_and(schema_id <> %(schema_id)s), true);
