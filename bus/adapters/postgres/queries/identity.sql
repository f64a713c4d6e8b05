-- name: lock
-- Let nobody else change accounts until the transaction ends: "os.ident" as a number.
SELECT pg_advisory_xact_lock(8029741166430154356);

-- name: account
-- One account.
SELECT name, organisation, jurisdiction, kind, roles, display_name, active
  FROM onesource.account
 WHERE name = %(name)s;

-- name: accounts
-- All accounts.
SELECT name, organisation, jurisdiction, kind, roles, display_name, active
  FROM onesource.account
 ORDER BY name COLLATE "C";

-- name: add_account
-- Add an account unless its name is taken.
INSERT INTO onesource.account
       (name, organisation, jurisdiction, kind, roles, display_name, active)
VALUES (%(name)s, %(organisation)s, %(jurisdiction)s, %(kind)s, %(roles)s, %(display_name)s,
        %(active)s)
    ON CONFLICT (name) DO NOTHING;

-- name: save_account
-- Replace what is known of an account.
UPDATE onesource.account
   SET organisation = %(organisation)s, jurisdiction = %(jurisdiction)s, kind = %(kind)s,
       roles = %(roles)s, display_name = %(display_name)s, active = %(active)s
 WHERE name = %(name)s;

-- name: password_hash
-- What the password of an account can be checked with.
SELECT password_hash FROM onesource.account WHERE name = %(account)s;

-- name: save_password_hash
-- Give an account a password.
UPDATE onesource.account SET password_hash = %(password_hash)s WHERE name = %(account)s;

-- name: sessions_from
-- Since when sessions of an account count.
SELECT sessions_from FROM onesource.account WHERE name = %(account)s;

-- name: end_sessions
-- End the sessions of an account that began before then.
UPDATE onesource.account SET sessions_from = %(before)s WHERE name = %(account)s;

-- name: session_ended
-- Whether a session was ended.
SELECT 1 FROM onesource.ended_session WHERE id = %(session)s;

-- name: end_session
-- End a session.
INSERT INTO onesource.ended_session (id, expires_at) VALUES (%(session)s, %(expires_at)s)
    ON CONFLICT (id) DO NOTHING;

-- name: forget_sessions
-- Remove what would have expired anyway.
DELETE FROM onesource.ended_session WHERE expires_at < %(before)s;

-- name: token
-- One API token.
SELECT id, account, digest, scopes, expires_at, title, revoked
  FROM onesource.api_token
 WHERE id = %(id)s;

-- name: tokens
-- The API tokens of an account.
SELECT id, account, digest, scopes, expires_at, title, revoked
  FROM onesource.api_token
 WHERE account = %(account)s
 ORDER BY expires_at, id;

-- name: save_token
-- Add an API token, or end it.
INSERT INTO onesource.api_token (id, account, digest, scopes, expires_at, title, revoked)
VALUES (%(id)s, %(account)s, %(digest)s, %(scopes)s, %(expires_at)s, %(title)s, %(revoked)s)
    ON CONFLICT (id) DO UPDATE
   SET digest = EXCLUDED.digest, scopes = EXCLUDED.scopes, expires_at = EXCLUDED.expires_at,
       title = EXCLUDED.title, revoked = EXCLUDED.revoked;

-- name: linked
-- The account of an outside subject.
SELECT account FROM onesource.external_subject
 WHERE issuer = %(issuer)s AND claim = %(claim)s AND value = %(value)s;

-- name: link
-- Link an outside subject to an account.
INSERT INTO onesource.external_subject (issuer, claim, value, account)
VALUES (%(issuer)s, %(claim)s, %(value)s, %(account)s)
    ON CONFLICT (issuer, claim, value) DO UPDATE SET account = EXCLUDED.account;

-- name: unlink
-- Forget a link.
DELETE FROM onesource.external_subject
 WHERE issuer = %(issuer)s AND claim = %(claim)s AND value = %(value)s;

-- name: lock_failures
-- Let nobody else count under this key until the transaction ends, be it there yet or not.
SELECT pg_advisory_xact_lock(hashtextextended('failed_login ' || %(key)s, 0));

-- name: failed_logins
-- How often logging in has failed.
SELECT count, last_at FROM onesource.failed_login WHERE key = %(key)s;

-- name: save_failed_logins
-- Note how often logging in has failed.
INSERT INTO onesource.failed_login (key, count, last_at) VALUES (%(key)s, %(count)s, %(last_at)s)
    ON CONFLICT (key) DO UPDATE SET count = EXCLUDED.count, last_at = EXCLUDED.last_at;

-- name: forget_failed_logins
-- Forget the failures under one key.
DELETE FROM onesource.failed_login WHERE key = %(key)s;

-- name: forget_failures
-- Forget failures that are long ago, without waiting for who is counting some just now.
DELETE FROM onesource.failed_login
 WHERE key IN (SELECT key FROM onesource.failed_login
                WHERE last_at < %(before)s
                  FOR UPDATE SKIP LOCKED);

-- name: authorisations
-- All operator authorisations.
SELECT id, organisation, jurisdiction, valid_from, valid_until, scope, document, revoked
  FROM onesource.operator_authorisation
 ORDER BY id COLLATE "C";

-- name: save_authorisation
-- Add an operator authorisation, or end it.
INSERT INTO onesource.operator_authorisation
       (id, organisation, jurisdiction, valid_from, valid_until, scope, document, revoked)
VALUES (%(id)s, %(organisation)s, %(jurisdiction)s, %(valid_from)s, %(valid_until)s, %(scope)s,
        %(document)s, %(revoked)s)
    ON CONFLICT (id) DO UPDATE
   SET valid_until = EXCLUDED.valid_until, scope = EXCLUDED.scope, revoked = EXCLUDED.revoked;
