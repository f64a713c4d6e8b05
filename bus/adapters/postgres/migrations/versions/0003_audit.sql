-- The audit log: rows without gaps, each with the hash of the one before (docs/adr/0016).

CREATE TABLE onesource.audit_record (
    sequence        bigint PRIMARY KEY CHECK (sequence > 0),
    at              timestamptz NOT NULL,
    jurisdiction    text NOT NULL,
    account         text NOT NULL,
    organisation    text NOT NULL,
    role            text NOT NULL,
    action          text NOT NULL,
    subject_kind    text NOT NULL,
    subject         text NOT NULL,
    outcome         text NOT NULL,
    profile         text NOT NULL,
    profile_version text NOT NULL,
    trace_id        text NOT NULL,
    details         jsonb NOT NULL,
    previous        bytea NOT NULL CHECK (octet_length(previous) = 32),
    hash            bytea NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE INDEX audit_record_subject ON onesource.audit_record (subject_kind, subject, sequence);
CREATE INDEX audit_record_organisation ON onesource.audit_record (organisation, sequence);
CREATE INDEX audit_record_action ON onesource.audit_record (action, sequence);
CREATE INDEX audit_record_at ON onesource.audit_record (at);
-- Who could read a resource is asked of what happened to grants on it.
CREATE INDEX audit_record_grants ON onesource.audit_record ((details ->> 'resource'), sequence)
    WHERE subject_kind = 'grant';

-- The newest row, as it was written: locked by whoever writes the next one.
CREATE TABLE onesource.audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    log      text NOT NULL DEFAULT gen_random_uuid()::text,
    sequence bigint NOT NULL DEFAULT 0,
    -- Empty before the first row: what it follows is made of the log's id.
    hash     bytea NOT NULL DEFAULT ''
);
INSERT INTO onesource.audit_head DEFAULT VALUES;

-- What has been signed, as it was published.
CREATE TABLE onesource.audit_checkpoint (
    sequence  bigint PRIMARY KEY CHECK (sequence > 0),
    log       text NOT NULL,
    hash      bytea NOT NULL,
    at        timestamptz NOT NULL,
    key_id    text NOT NULL,
    signature bytea NOT NULL
);

-- A guard against accidents, also the owner's. Whoever may drop a trigger gets past it: the
-- evidence is the chain, and the checkpoints that have left this database.
CREATE FUNCTION onesource.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_record_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON onesource.audit_record
    FOR EACH STATEMENT EXECUTE FUNCTION onesource.refuse_audit_change();
CREATE TRIGGER audit_checkpoint_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON onesource.audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION onesource.refuse_audit_change();
