-- Organisations, catalog entries and grants: each version as it was decided, and which is in force.

CREATE TABLE onesource.organisation (
    code       text PRIMARY KEY,
    content    jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE onesource.avro_schema (
    id     integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    text   text NOT NULL,
    digest bytea NOT NULL UNIQUE
);

CREATE TABLE onesource.subject_version (
    subject   text NOT NULL,
    version   integer NOT NULL,
    schema_id integer NOT NULL REFERENCES onesource.avro_schema (id),
    PRIMARY KEY (subject, version),
    UNIQUE (subject, schema_id)
);
CREATE INDEX subject_version_schema ON onesource.subject_version (schema_id);

CREATE TABLE onesource.resource (
    code    text PRIMARY KEY,
    version integer NOT NULL,
    retired boolean NOT NULL DEFAULT false
);

CREATE TABLE onesource.entry_version (
    resource   text NOT NULL REFERENCES onesource.resource (code),
    version    integer NOT NULL,
    generation integer NOT NULL,
    schema_id  integer NOT NULL REFERENCES onesource.avro_schema (id),
    content    jsonb NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (resource, version)
);

CREATE TABLE onesource.share_grant (
    id      text PRIMARY KEY,
    version integer NOT NULL,
    state   text NOT NULL CHECK (state IN ('ACTIVE', 'REVOKED', 'EXPIRED'))
);

CREATE TABLE onesource.grant_version (
    grant_id   text NOT NULL REFERENCES onesource.share_grant (id),
    version    integer NOT NULL,
    content    jsonb NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (grant_id, version)
);

-- What the data plane is made of: view incarnations, subscriptions, accounts.

CREATE TABLE onesource.incarnation (
    topic            text PRIMARY KEY,
    view_id          text NOT NULL,
    number           integer NOT NULL,
    view             jsonb NOT NULL,
    partitions       integer NOT NULL,
    live             boolean NOT NULL DEFAULT false,
    fill_end         jsonb NOT NULL DEFAULT '{}',
    opened_at        timestamptz NOT NULL DEFAULT now(),
    ended_at         timestamptz,
    topic_deleted_at timestamptz,
    UNIQUE (view_id, number)
);

CREATE TABLE onesource.subscription (
    id         text PRIMARY KEY REFERENCES onesource.share_grant (id),
    principal  text NOT NULL UNIQUE,
    ended      boolean NOT NULL DEFAULT false,
    topic      text NOT NULL REFERENCES onesource.incarnation (topic),
    next_topic text REFERENCES onesource.incarnation (topic)
);

CREATE TABLE onesource.principal (
    name       text PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('service', 'organisation', 'subscription')),
    owner      text NOT NULL,
    salt       bytea NOT NULL,
    iterations integer NOT NULL,
    stored_key bytea NOT NULL,
    enabled    boolean NOT NULL DEFAULT true
);

-- The compiled policy, its version, and what the relay has still to publish.

CREATE TABLE onesource.policy_object (
    object_id text PRIMARY KEY,
    value     bytea NOT NULL
);

CREATE TABLE onesource.policy_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint NOT NULL
);
INSERT INTO onesource.policy_version (version) VALUES (0);

CREATE TABLE onesource.outbox (
    sequence       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    -- Rows are published only once no transaction that began before theirs can still commit.
    xid            xid8 NOT NULL DEFAULT pg_current_xact_id(),
    policy_version bigint NOT NULL,
    topic          text NOT NULL,
    key            text NOT NULL,
    value          bytea
);
CREATE INDEX outbox_version ON onesource.outbox (policy_version, sequence);
