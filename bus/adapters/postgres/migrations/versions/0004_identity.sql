-- Accounts of people and services, their tokens.

CREATE TABLE onesource.account (
    name          text PRIMARY KEY,
    organisation  text NOT NULL,
    jurisdiction  text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('person', 'service')),
    roles         text[] NOT NULL,
    display_name  text NOT NULL DEFAULT '',
    active        boolean NOT NULL DEFAULT true,
    password_hash text,
    -- Sessions that began before then have ended.
    sessions_from timestamptz,
    CHECK (kind = 'person' OR password_hash IS NULL)
);

CREATE TABLE onesource.api_token (
    id         text PRIMARY KEY,
    account    text NOT NULL REFERENCES onesource.account (name),
    digest     bytea NOT NULL,
    scopes     text[] NOT NULL,
    expires_at timestamptz NOT NULL,
    title      text NOT NULL DEFAULT '',
    revoked    boolean NOT NULL DEFAULT false
);
CREATE INDEX api_token_account ON onesource.api_token (account);

-- Whom an identity provider calls so logs in as this account.
CREATE TABLE onesource.external_subject (
    issuer  text NOT NULL,
    claim   text NOT NULL CHECK (claim IN ('sub', 'preferred_username')),
    value   text NOT NULL,
    account text NOT NULL REFERENCES onesource.account (name),
    PRIMARY KEY (issuer, claim, value)
);

CREATE TABLE onesource.ended_session (
    id         text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

CREATE TABLE onesource.failed_login (
    key     text PRIMARY KEY,
    count   integer NOT NULL,
    last_at timestamptz NOT NULL
);

CREATE TABLE onesource.operator_authorisation (
    id           text PRIMARY KEY,
    organisation text NOT NULL,
    jurisdiction text NOT NULL,
    valid_from   date NOT NULL,
    valid_until  date NOT NULL,
    scope        text[] NOT NULL,
    document     text NOT NULL DEFAULT '',
    revoked      boolean NOT NULL DEFAULT false,
    CHECK (valid_from <= valid_until)
);
