-- name: lock_head
-- The newest row; whoever else appends waits until this transaction has ended.
SELECT log, sequence, hash FROM onesource.audit_head FOR UPDATE;

-- name: append
-- Write the next row, and note that it is the newest.
  WITH moved AS (
    UPDATE onesource.audit_head SET sequence = %(sequence)s, hash = %(hash)s
  )
INSERT INTO onesource.audit_record
       (sequence, at, jurisdiction, account, organisation, role, action, subject_kind, subject,
        outcome, profile, profile_version, trace_id, details, previous, hash)
VALUES (%(sequence)s, %(at)s, %(jurisdiction)s, %(account)s, %(organisation)s, %(role)s,
        %(action)s, %(subject_kind)s, %(subject)s, %(outcome)s, %(profile)s, %(profile_version)s,
        %(trace_id)s, %(details)s, %(previous)s, %(hash)s);

-- name: head
-- The newest row that is committed.
SELECT log, sequence, hash FROM onesource.audit_head;

-- name: rows
-- Rows in order, all that share a number together; a time that no program can hold is another one.
SELECT sequence,
       CASE WHEN at BETWEEN '0001-01-02T00:00Z' AND '9999-12-30T00:00Z' THEN at
            ELSE '0001-01-02T00:00Z' END,
       jurisdiction, account, organisation, role, action, subject_kind, subject, outcome, profile,
       profile_version, trace_id, details, previous, hash
  FROM onesource.audit_record
 WHERE sequence > %(after)s
 ORDER BY sequence
 FETCH FIRST %(limit)s ROWS WITH TIES;

-- name: page
-- The newest rows that are wanted, from below one of them.
SELECT sequence, at, jurisdiction, account, organisation, role, action, subject_kind, subject,
       outcome, profile, profile_version, trace_id, details, previous, hash
  FROM onesource.audit_record
 WHERE (%(before)s::bigint IS NULL OR sequence < %(before)s)
   AND (%(jurisdiction)s::text IS NULL OR jurisdiction = %(jurisdiction)s)
   AND (%(organisation)s::text IS NULL OR organisation = %(organisation)s)
   AND (%(account)s::text IS NULL OR account = %(account)s)
   AND (%(subject_kind)s::text IS NULL OR subject_kind = %(subject_kind)s)
   AND (%(subject)s::text IS NULL OR subject = %(subject)s)
   AND (%(action)s::text IS NULL OR action = %(action)s)
   AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
 ORDER BY sequence DESC
 LIMIT %(limit)s;

-- name: grant_rows
-- What happened to the grants on a resource, in order.
SELECT sequence, at, jurisdiction, account, organisation, role, action, subject_kind, subject,
       outcome, profile, profile_version, trace_id, details, previous, hash
  FROM onesource.audit_record
 WHERE subject_kind = 'grant'
   AND details ->> 'resource' = %(resource)s
   AND action = ANY(%(actions)s)
   AND outcome = 'DONE'
   AND sequence > %(after)s
 ORDER BY sequence
 LIMIT %(limit)s;

-- name: checkpoints
-- Checkpoints in the order of their rows.
SELECT log, sequence, hash, at, key_id, signature
  FROM onesource.audit_checkpoint
 WHERE sequence > %(after)s
 ORDER BY sequence
 LIMIT %(limit)s;

-- name: newest_checkpoint
-- The checkpoint of the newest row that has one.
SELECT log, sequence, hash, at, key_id, signature
  FROM onesource.audit_checkpoint
 ORDER BY sequence DESC
 LIMIT 1;

-- name: take_checkpoint_turn
-- Become the one that makes a checkpoint, until this transaction ends, if nobody is.
SELECT pg_try_advisory_xact_lock(%(lock)s);

-- name: save_checkpoint
-- Keep a checkpoint.
INSERT INTO onesource.audit_checkpoint (log, sequence, hash, at, key_id, signature)
VALUES (%(log)s, %(sequence)s, %(hash)s, %(at)s, %(key_id)s, %(signature)s);
