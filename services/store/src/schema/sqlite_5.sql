-- Schema 5, SQLite.

-- The saved state of the keeper of flags, in parts.
CREATE TABLE fraud_state (
    part INTEGER NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
);

-- Offers of merchants, and the feed that tells of their changes; beside the log.
CREATE TABLE offer (
    merchant INTEGER NOT NULL,
    offer TEXT NOT NULL,
    change INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    category TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (merchant, offer)
);
CREATE UNIQUE INDEX offer_in_order_of_change ON offer (change);
CREATE INDEX offer_of_merchant_in_order_of_change ON offer (merchant, change);
CREATE INDEX offer_that_stands ON offer (merchant, offer) WHERE withdrawn = 0;
CREATE INDEX offer_of_category ON offer (category, merchant, offer) WHERE withdrawn = 0;
CREATE INDEX offer_of_kind ON offer (kind, merchant, offer) WHERE withdrawn = 0;

-- One row: the number of the last change. Its id tells this feed from that of another database.
CREATE TABLE offer_feed (
    id INTEGER NOT NULL PRIMARY KEY,
    last_change INTEGER NOT NULL
);
INSERT INTO offer_feed (id, last_change) VALUES (random(), 0);
