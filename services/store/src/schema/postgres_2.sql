-- Schema 2, PostgreSQL: evidence, and the auditor's own state.
CREATE TABLE evidence (
    sha256 bytea NOT NULL PRIMARY KEY,
    content bytea NOT NULL
);

-- The auditor's own state: of nobody's making but its own.
CREATE TABLE audit_state (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    size bigint NOT NULL,
    data bytea NOT NULL
);

CREATE TABLE audit_member (
    member bigint PRIMARY KEY,
    bucket smallint NOT NULL,
    data bytea NOT NULL
) WITH (fillfactor = 70);
ALTER TABLE audit_member ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE audit_reference (
    member bigint NOT NULL,
    merchant integer NOT NULL,
    bucket smallint NOT NULL,
    reference bytea NOT NULL,
    PRIMARY KEY (merchant, reference)
);

CREATE TABLE audit_cut (
    cycle integer PRIMARY KEY,
    cut_seq bigint NOT NULL,
    closed_seq bigint NOT NULL,
    root bytea NOT NULL,
    totals bytea NOT NULL
);

CREATE TABLE audit_finding (
    seq bigint PRIMARY KEY,
    data bytea NOT NULL
);
