-- What things of the catalog are found by: tokens made by bus.domain.search_terms.

CREATE TABLE onesource.search_document (
    kind         text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    jurisdiction text NOT NULL,
    zone         text NOT NULL,
    title        text COLLATE "C" NOT NULL,
    title_tokens text[] COLLATE "C" NOT NULL,
    -- Those of the titles, too.
    tokens       text[] COLLATE "C" NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id)
);
-- Entries change seldom: no list of changes that every search would have to read through.
CREATE INDEX search_document_tokens ON onesource.search_document USING gin (tokens)
  WITH (fastupdate = off);
