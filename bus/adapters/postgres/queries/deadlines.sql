-- name: set
-- Let something be due; the same time again changes nothing.
INSERT INTO onesource.deadline AS d (subject_kind, subject, kind, due_at, next_at)
VALUES (%(subject_kind)s, %(subject)s, %(kind)s, %(due_at)s, %(due_at)s)
    ON CONFLICT (subject_kind, subject, kind) DO UPDATE
   SET due_at = EXCLUDED.due_at,
       next_at = EXCLUDED.next_at,
       attempts = 0,
       last_error = NULL,
       fired_at = NULL
 WHERE d.due_at <> EXCLUDED.due_at;

-- name: clear
-- Forget what is or was due for a subject.
DELETE FROM onesource.deadline
 WHERE subject_kind = %(subject_kind)s
   AND subject = %(subject)s
   AND (%(kind)s::text IS NULL OR kind = %(kind)s);

-- name: pending
-- What has not fired yet for a subject.
SELECT subject_kind, subject, kind, due_at, attempts, last_error
  FROM onesource.deadline
 WHERE subject_kind = %(subject_kind)s AND subject = %(subject)s AND fired_at IS NULL
 ORDER BY due_at, kind;

-- name: take_due
-- Lock what is due and nobody else has; two replicas never get the same.
SELECT subject_kind, subject, kind, due_at, attempts, last_error
  FROM onesource.deadline
 WHERE fired_at IS NULL AND next_at <= %(now)s
 ORDER BY due_at, subject_kind, subject, kind
 LIMIT %(limit)s
   FOR UPDATE SKIP LOCKED;

-- name: fired
-- A deadline that its handler has set to another time is not the one that fired.
UPDATE onesource.deadline
   SET fired_at = %(at)s
 WHERE subject_kind = %(subject_kind)s
   AND subject = %(subject)s
   AND kind = %(kind)s
   AND due_at = %(due_at)s;

-- name: failed
-- Put off what failed, unless it was dealt with or changed meanwhile.
UPDATE onesource.deadline
   SET attempts = attempts + 1, last_error = %(error)s, next_at = %(retry_at)s
 WHERE subject_kind = %(subject_kind)s
   AND subject = %(subject)s
   AND kind = %(kind)s
   AND due_at = %(due_at)s
   AND attempts = %(attempts)s
   AND fired_at IS NULL;

-- name: failing
-- How many have failed and not been dealt with since.
SELECT count(*) FROM onesource.deadline WHERE fired_at IS NULL AND attempts > 0;
