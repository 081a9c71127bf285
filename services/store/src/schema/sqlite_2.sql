-- Schema 2, SQLite: evidence, and the auditor's own state. Big rows, so the table has a rowid and its key a tree of its own.
CREATE TABLE evidence (
    sha256 BLOB NOT NULL PRIMARY KEY,
    content BLOB NOT NULL
);

-- The auditor's own state: of nobody's making but its own.
CREATE TABLE audit_state (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    size INTEGER NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE audit_member (
    member INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE audit_reference (
    merchant INTEGER NOT NULL,
    reference BLOB NOT NULL,
    member INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    PRIMARY KEY (merchant, reference)
) WITHOUT ROWID;

CREATE TABLE audit_cut (
    cycle INTEGER PRIMARY KEY,
    cut_seq INTEGER NOT NULL,
    closed_seq INTEGER NOT NULL,
    root BLOB NOT NULL,
    totals BLOB NOT NULL
);

CREATE TABLE audit_finding (
    seq INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
