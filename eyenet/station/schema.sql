-- The register: `entries` is append-only and holds nobody's name; `identities` holds what may name a patient, and can
-- be erased. eyenet/station/register.py describes the bodies.

CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- 1, 2, 3, ... without gaps
    recorded TEXT NOT NULL,               -- local time with its offset from UTC; the order is that of the ids
    kind TEXT NOT NULL CHECK (kind IN ('patient', 'photograph', 'answer', 'decision', 'referral', 'erasure', 'alarm')),
    patient TEXT NOT NULL,                -- a random key; empty for an alarm
    visit TEXT,                           -- a keyed hash: it tells visits apart and does not name them
    body TEXT NOT NULL,                   -- canonical JSON
    seal TEXT,                            -- SHA-256 of the salt and body in `identities`
    hash TEXT NOT NULL                    -- SHA-256 of the previous row's hash and of this row
) STRICT;

CREATE TABLE IF NOT EXISTS identities (
    entry INTEGER PRIMARY KEY REFERENCES entries (id),
    patient TEXT NOT NULL,
    kind TEXT NOT NULL,
    salt TEXT NOT NULL, -- random, so that a seal that outlives the identity cannot be guessed
    body TEXT NOT NULL  -- canonical JSON
) STRICT;

CREATE INDEX IF NOT EXISTS entries_of_patient ON entries (patient, kind, visit);
CREATE INDEX IF NOT EXISTS entries_of_day ON entries (kind, recorded);
CREATE UNIQUE INDEX IF NOT EXISTS one_patient ON entries (patient) WHERE kind = 'patient';
CREATE UNIQUE INDEX IF NOT EXISTS one_photograph ON entries (json_extract(body, '$.sha256')) WHERE kind = 'photograph';
CREATE INDEX IF NOT EXISTS identities_of_patient ON identities (patient);
CREATE UNIQUE INDEX IF NOT EXISTS one_identity ON identities (body) WHERE kind = 'patient' AND body <> '{}';

CREATE TRIGGER IF NOT EXISTS entries_keep BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;

CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;

CREATE TRIGGER IF NOT EXISTS entries_follow BEFORE INSERT ON entries
WHEN NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM entries)
BEGIN SELECT RAISE(ABORT, 'an entry follows the last one'); END;

CREATE TRIGGER IF NOT EXISTS entries_of_known BEFORE INSERT ON entries
WHEN NEW.kind NOT IN ('patient', 'alarm') AND NOT EXISTS (SELECT 1 FROM entries WHERE kind = 'patient' AND patient = NEW.patient)
BEGIN SELECT RAISE(ABORT, 'no such patient'); END;

CREATE TRIGGER IF NOT EXISTS entries_of_erased BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE kind = 'erasure' AND patient = NEW.patient)
BEGIN SELECT RAISE(ABORT, 'the patient was erased'); END;

CREATE TRIGGER IF NOT EXISTS identities_keep BEFORE UPDATE ON identities
BEGIN SELECT RAISE(ABORT, 'identities are never changed'); END;

CREATE TRIGGER IF NOT EXISTS identities_follow BEFORE INSERT ON identities
WHEN NEW.entry IS NOT (SELECT max(id) FROM entries)
BEGIN SELECT RAISE(ABORT, 'an identity belongs to the last entry'); END;

CREATE TRIGGER IF NOT EXISTS identities_stay BEFORE DELETE ON identities
WHEN NOT EXISTS (SELECT 1 FROM entries WHERE kind = 'erasure' AND patient = OLD.patient)
BEGIN SELECT RAISE(ABORT, 'the erasure is recorded first'); END;
