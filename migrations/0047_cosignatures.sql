-- What witnesses said of signed heads: the note and their line on it. `witness` is the text of their key; the newest of
-- each is kept, and those of the newest head that enough of them cosigned.
CREATE TABLE audit_cosignature (
  log TEXT NOT NULL,
  witness TEXT NOT NULL,
  size BIGINT NOT NULL CHECK (size >= 0),
  note TEXT NOT NULL,
  line TEXT NOT NULL,
  PRIMARY KEY (log, witness, size)
)
