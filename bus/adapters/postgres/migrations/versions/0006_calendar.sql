-- Working days beyond the calendar package, and what has to happen at a certain time.

-- One row a day of a decree. Rows are only added: a due date of then can be explained.
CREATE TABLE onesource.calendar_amendment (
    country    text NOT NULL,
    day        date NOT NULL,
    working    boolean NOT NULL,
    decreed_on date NOT NULL,
    ordinance  text NOT NULL,
    loaded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (country, day, decreed_on)
);

-- Years whose whole decree is loaded as amendments, because the package does not hold it yet.
CREATE TABLE onesource.calendar_year (
    country    text NOT NULL,
    year       integer NOT NULL,
    decreed_on date NOT NULL,
    ordinance  text NOT NULL,
    loaded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (country, year)
);

-- A fired deadline stays until its subject is cleared: setting it again does not fire it again.
CREATE TABLE onesource.deadline (
    subject_kind text NOT NULL,
    subject      text NOT NULL,
    kind         text NOT NULL,
    due_at       timestamptz NOT NULL,
    -- When it is tried next: the due time, later after a failure.
    next_at      timestamptz NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    last_error   text,
    fired_at     timestamptz,
    PRIMARY KEY (subject_kind, subject, kind)
);
CREATE INDEX deadline_next ON onesource.deadline (next_at) WHERE fired_at IS NULL;
