-- Schema 3, SQLite: affiliates' links and touches, beside the log. Ids are time-ordered: rows are appended at the end.
CREATE TABLE tracking_link (
    link TEXT NOT NULL PRIMARY KEY,
    affiliate INTEGER NOT NULL,
    site INTEGER NOT NULL,
    merchant INTEGER NOT NULL,
    destination TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
);
CREATE INDEX tracking_link_in_order ON tracking_link (created_at, link);
CREATE INDEX tracking_link_of_affiliate ON tracking_link (affiliate, created_at, link);

CREATE TABLE touch (
    id BLOB NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL,
    merchant INTEGER NOT NULL,
    affiliate INTEGER NOT NULL,
    site INTEGER NOT NULL,
    link TEXT NOT NULL,
    code TEXT NOT NULL,
    sub_id TEXT NOT NULL,
    flags INTEGER NOT NULL,
    marks INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    agent INTEGER NOT NULL,
    address INTEGER NOT NULL,
    network INTEGER NOT NULL,
    device INTEGER NOT NULL,
    referrer_host TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX touch_of_affiliate ON touch (affiliate, id);
CREATE INDEX touch_of_merchant ON touch (merchant, id);

CREATE TABLE touch_invalidation (
    id BLOB NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL
) WITHOUT ROWID;
