-- Answers to requests that may be sent again: who sent them, what was asked, what was answered.

CREATE TABLE onesource.kept_answer (
    account     text NOT NULL,
    operation   text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    -- Whoever holds the claim may answer; another takes it over once it is too old.
    claim       uuid NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    -- None while the request is being carried out.
    status      integer,
    headers     jsonb NOT NULL DEFAULT '{}',
    -- None, with a status: the answer was too large, or a secret.
    body        bytea,
    PRIMARY KEY (account, operation, key)
);
CREATE INDEX kept_answer_age ON onesource.kept_answer (claimed_at);
