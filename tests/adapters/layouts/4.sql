BEGIN TRANSACTION;
CREATE TABLE cursors (
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        epoch TEXT NOT NULL,
        seq INTEGER NOT NULL,
        updated_at REAL NOT NULL, sent INTEGER,
        PRIMARY KEY (user_id, device_id)
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "cursors" VALUES('alice','desk','feed5eed',2,5.0,3);
CREATE TABLE log_identity (epoch TEXT NOT NULL, start_id TEXT, previous_start_id TEXT, is_sample INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "log_identity" VALUES('feed5eed',NULL,NULL,0);
CREATE TABLE news_log (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        url_key TEXT NOT NULL UNIQUE,
        accepted_at REAL NOT NULL,
        published_at REAL NOT NULL,
        source TEXT NOT NULL,
        category TEXT NOT NULL,
        impact REAL NOT NULL,
        item TEXT NOT NULL
    ) STRICT
    ;
INSERT INTO "news_log" VALUES(1,'rss_19be2ecc78476a55','//example.com/1',1000000.0,1000000.0,'rss','crypto',80.0,'{"id":"rss_19be2ecc78476a55","source":"rss","source_account":"Example Wire","title":"Story 1","content":"Some content","url":"https://example.com/1","published_at":1000000.0,"impact_score":80.0,"relevance_score":50.0,"tickers":[],"people":[],"prediction_markets":[],"category":"crypto","tags":[],"is_duplicate":false,"duplicate_of":null,"is_high_signal":false}');
INSERT INTO "news_log" VALUES(2,'rss_0e64699121e5ddd8','//example.com/2',1000000.0,1000000.0,'rss','crypto',80.0,'{"id":"rss_0e64699121e5ddd8","source":"rss","source_account":"Example Wire","title":"Story 2","content":"Some content","url":"https://example.com/2","published_at":1000000.0,"impact_score":80.0,"relevance_score":50.0,"tickers":[],"people":[],"prediction_markets":[],"category":"crypto","tags":[],"is_duplicate":false,"duplicate_of":null,"is_high_signal":false}');
INSERT INTO "news_log" VALUES(3,'rss_0a9f6a11e16574f4','//example.com/3',1000000.0,1000000.0,'rss','crypto',80.0,'{"id":"rss_0a9f6a11e16574f4","source":"rss","source_account":"Example Wire","title":"Story 3","content":"Some content","url":"https://example.com/3","published_at":1000000.0,"impact_score":80.0,"relevance_score":50.0,"tickers":[],"people":[],"prediction_markets":[],"category":"crypto","tags":[],"is_duplicate":false,"duplicate_of":null,"is_high_signal":false}');
CREATE TABLE revocations (user_id TEXT PRIMARY KEY, issued_before REAL NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "revocations" VALUES('mallory',7.0);
CREATE TABLE subscription_channels (
        user_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        filter TEXT NOT NULL,
        alert_channels TEXT NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        PRIMARY KEY (user_id, channel)
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "subscription_channels" VALUES('alice','loud','{"impact_threshold":90}','["terminal"]',3.0,4.0);
CREATE TABLE subscription_extras (user_id TEXT PRIMARY KEY, extras TEXT NOT NULL) STRICT;
INSERT INTO "subscription_extras" VALUES('alice','{"tickers":["BTC"],"sources_strict":true}');
CREATE TABLE user_subscriptions (
        user_id TEXT PRIMARY KEY,
        nitter_accounts TEXT,
        rss_feeds TEXT,
        categories TEXT,
        keywords TEXT,
        impact_threshold INTEGER DEFAULT 70,
        alert_channels TEXT,
        created_at REAL,
        updated_at REAL
    );
INSERT INTO "user_subscriptions" VALUES('alice','["@fed"]','["wsj"]','["crypto"]','["rate cut*"]',40,'["terminal"]',1.0,2.0);
CREATE INDEX news_log_by_time ON news_log (published_at, seq, impact);
CREATE INDEX cursors_by_age ON cursors (updated_at);
PRAGMA user_version = 4;
COMMIT;
