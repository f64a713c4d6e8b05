-- name: schema_text
-- The text of a schema.
SELECT text FROM onesource.avro_schema WHERE id = %(id)s;

-- name: subject_versions
-- The versions of a subject.
SELECT v.subject, v.version, v.schema_id, s.text
  FROM onesource.subject_version v
  JOIN onesource.avro_schema s ON s.id = v.schema_id
 WHERE v.subject = %(subject)s
 ORDER BY v.version;

-- name: subjects_of
-- Where a schema is used.
SELECT v.subject, v.version, v.schema_id, s.text
  FROM onesource.subject_version v
  JOIN onesource.avro_schema s ON s.id = v.schema_id
 WHERE v.schema_id = %(id)s
 ORDER BY v.subject, v.version;

-- name: subjects
-- The names of all subjects.
SELECT DISTINCT subject FROM onesource.subject_version ORDER BY subject;
