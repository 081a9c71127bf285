-- Schema 1, SQLite. Keyed tables are WITHOUT ROWID: the key is the row's place, there is no second tree.
CREATE TABLE ledger_gate (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    address TEXT NOT NULL,
    beat INTEGER NOT NULL
);

-- The log. Big columns last: leaf_data and tree_hashes lie in the row's first page, before the overflow pages.
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    decided_at INTEGER NOT NULL,
    merchant INTEGER,
    kind INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    leaf_data BLOB NOT NULL,
    tree_hashes BLOB NOT NULL,
    outcomes BLOB NOT NULL,
    effects BLOB NOT NULL,
    envelope BLOB NOT NULL
);

CREATE TABLE message_id (
    merchant INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    pos INTEGER NOT NULL,
    PRIMARY KEY (merchant, message_id)
) WITHOUT ROWID;

CREATE TABLE member_reference (
    merchant INTEGER NOT NULL,
    reference BLOB NOT NULL,
    member INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    PRIMARY KEY (merchant, reference)
) WITHOUT ROWID;
-- Enrolment is no hot path, and a statement must name a member as its merchant knows it.
CREATE INDEX member_reference_by_member ON member_reference (member, merchant);

CREATE TABLE member_alias (
    hash BLOB NOT NULL PRIMARY KEY,
    member INTEGER NOT NULL,
    bucket INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE checkpoint (
    tree_size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
);

CREATE TABLE member (
    member INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL,
    applied_seq INTEGER NOT NULL,
    next_due INTEGER,
    next_hold INTEGER,
    data BLOB NOT NULL
);

CREATE TABLE projection (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    covered_size INTEGER NOT NULL
);

CREATE TABLE global_state (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    applied_seq INTEGER NOT NULL,
    data BLOB NOT NULL
);

CREATE TABLE projected_blob (
    key TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
) WITHOUT ROWID;

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
