-- What the control plane decides on: cases (entries in work, requests, …) and who asks for what.

-- A grant's states of requirements §6.3, and what it is looked for by.
ALTER TABLE onesource.share_grant DROP CONSTRAINT share_grant_state_check;
ALTER TABLE onesource.share_grant ADD CONSTRAINT share_grant_state_check CHECK (
    state IN ('AUTHORISED', 'ACTIVE', 'SUSPENDED', 'SUPERSEDED', 'EXPIRED', 'REVOKED', 'CLOSED')
);
ALTER TABLE onesource.share_grant ADD COLUMN resource text;
ALTER TABLE onesource.share_grant ADD COLUMN consumer text;
ALTER TABLE onesource.share_grant ADD COLUMN valid_until date;
UPDATE onesource.share_grant g
   SET resource = v.content ->> 'resource',
       consumer = v.content ->> 'consumer',
       valid_until = (v.content ->> 'valid_until')::date
  FROM onesource.grant_version v
 WHERE v.grant_id = g.id AND v.version = g.version;
ALTER TABLE onesource.share_grant ALTER COLUMN resource SET NOT NULL;
ALTER TABLE onesource.share_grant ALTER COLUMN consumer SET NOT NULL;
ALTER TABLE onesource.share_grant ALTER COLUMN valid_until SET NOT NULL;
CREATE INDEX share_grant_resource ON onesource.share_grant (resource, state);
CREATE INDEX share_grant_consumer ON onesource.share_grant (consumer, state);
CREATE INDEX share_grant_end ON onesource.share_grant (valid_until) WHERE state = 'ACTIVE';

ALTER TABLE onesource.incarnation
  ADD COLUMN resource text GENERATED ALWAYS AS (view ->> 'resource') STORED;
CREATE INDEX incarnation_resource ON onesource.incarnation (resource) WHERE ended_at IS NULL;
CREATE INDEX incarnation_filling ON onesource.incarnation (topic)
 WHERE ended_at IS NULL AND NOT live;
CREATE INDEX entry_version_provider ON onesource.entry_version ((content ->> 'provider'));

ALTER TABLE onesource.subscription ADD COLUMN blocked boolean NOT NULL DEFAULT false;

-- Everything with a life of its own: the newest state of each; its history is the audit log's.
CREATE TABLE onesource.control_case (
    kind         text NOT NULL,
    id           text NOT NULL,
    version      integer NOT NULL,
    jurisdiction text NOT NULL,
    state        text NOT NULL,
    resource     text NOT NULL,
    provider     text NOT NULL,
    consumer     text NOT NULL,
    content      jsonb NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id)
);
CREATE INDEX control_case_resource ON onesource.control_case (kind, resource, state);
CREATE INDEX control_case_provider ON onesource.control_case (kind, provider, state);
CREATE INDEX control_case_consumer ON onesource.control_case (kind, consumer, state);

-- One data element, one source (R-150).
CREATE TABLE onesource.source_claim (
    jurisdiction text NOT NULL,
    element      text NOT NULL,
    resource     text NOT NULL,
    PRIMARY KEY (jurisdiction, element)
);
CREATE INDEX source_claim_resource ON onesource.source_claim (resource);
