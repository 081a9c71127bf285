-- Schema 1, PostgreSQL. EXTERNAL: envelopes hold signatures and digests, which compression cannot shrink.
CREATE TABLE ledger_gate (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    epoch bigint NOT NULL,
    owner text NOT NULL,
    address text NOT NULL,
    beat bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE entry (
    seq bigint PRIMARY KEY,
    decided_at bigint NOT NULL,
    merchant integer,
    kind smallint NOT NULL,
    messages integer NOT NULL,
    leaf_data bytea NOT NULL,
    tree_hashes bytea NOT NULL,
    outcomes bytea NOT NULL,
    effects bytea NOT NULL,
    envelope bytea NOT NULL
);
ALTER TABLE entry
    ALTER COLUMN leaf_data SET STORAGE PLAIN,
    ALTER COLUMN outcomes SET STORAGE EXTERNAL,
    ALTER COLUMN effects SET STORAGE EXTERNAL,
    ALTER COLUMN envelope SET STORAGE EXTERNAL;

CREATE TABLE message_id (
    pos bigint NOT NULL,
    merchant integer NOT NULL,
    message_id bytea NOT NULL,
    PRIMARY KEY (merchant, message_id)
);
ALTER TABLE message_id ALTER COLUMN message_id SET STORAGE PLAIN;

CREATE TABLE member_reference (
    member bigint NOT NULL,
    merchant integer NOT NULL,
    bucket smallint NOT NULL,
    reference bytea NOT NULL,
    PRIMARY KEY (merchant, reference)
);
-- Enrolment is no hot path, and a statement must name a member as its merchant knows it.
CREATE INDEX member_reference_by_member ON member_reference (member, merchant);

CREATE TABLE member_alias (
    member bigint NOT NULL,
    bucket smallint NOT NULL,
    hash bytea NOT NULL PRIMARY KEY
);

CREATE TABLE checkpoint (
    tree_size bigint PRIMARY KEY,
    note text NOT NULL
);

-- A third of each page stays free, so that an update stays on its page and touches no index (HOT).
CREATE TABLE member (
    member bigint PRIMARY KEY,
    applied_seq bigint NOT NULL,
    next_due bigint,
    next_hold bigint,
    bucket smallint NOT NULL,
    data bytea NOT NULL
) WITH (fillfactor = 70);
ALTER TABLE member ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE projection (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    covered_size bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE global_state (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    applied_seq bigint NOT NULL,
    data bytea NOT NULL
);

CREATE TABLE projected_blob (
    key text NOT NULL PRIMARY KEY,
    data bytea NOT NULL
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
