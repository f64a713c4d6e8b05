-- name: claim
-- Take a key that is free: new, or left by a process that ended before it could answer.
INSERT INTO onesource.kept_answer AS kept (account, operation, key, fingerprint, claim)
VALUES (%(account)s, %(operation)s, %(key)s, %(fingerprint)s, %(claim)s)
    ON CONFLICT (account, operation, key) DO UPDATE
   SET fingerprint = EXCLUDED.fingerprint,
       claim = EXCLUDED.claim,
       claimed_at = now(),
       status = NULL,
       headers = '{}',
       body = NULL
 WHERE kept.claimed_at < now() - %(kept)s::interval
    OR (kept.status IS NULL
        AND kept.fingerprint = EXCLUDED.fingerprint
        AND kept.claimed_at < now() - %(bound)s::interval)
RETURNING true;

-- name: found
-- What there is under a key that is not free.
SELECT fingerprint, status, headers, body
  FROM onesource.kept_answer
 WHERE account = %(account)s AND operation = %(operation)s AND key = %(key)s;

-- name: keep
-- Keep the answer, if the claim is still ours.
UPDATE onesource.kept_answer
   SET status = %(status)s, headers = %(headers)s, body = %(body)s
 WHERE account = %(account)s AND operation = %(operation)s AND key = %(key)s
   AND claim = %(claim)s AND status IS NULL;

-- name: release
-- Free a key whose request has not been answered for good.
DELETE FROM onesource.kept_answer
 WHERE account = %(account)s AND operation = %(operation)s AND key = %(key)s
   AND claim = %(claim)s AND status IS NULL;

-- name: forget
-- Remove what has been kept long enough, so many at a time that nobody waits.
DELETE FROM onesource.kept_answer
 WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM onesource.kept_answer
        WHERE claimed_at < now() - %(kept)s::interval
        LIMIT 10000
          FOR UPDATE SKIP LOCKED));
