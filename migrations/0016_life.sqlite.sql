-- What is searched: words and terms of each sealed report. The number orders as the reports were sealed.
CREATE TABLE report_text (
  n INTEGER PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  report_id TEXT NOT NULL,
  words TEXT NOT NULL,
  UNIQUE (workspace_id, report_id)
)
--;
CREATE VIRTUAL TABLE report_words USING fts5 (
  words, content = 'report_text', content_rowid = 'n', detail = none, columnsize = 0, tokenize = "unicode61 remove_diacritics 0 tokenchars '_'"
)
--;
CREATE TRIGGER report_text_kept AFTER INSERT ON report_text BEGIN
  INSERT INTO report_words (rowid, words) VALUES (new.n, new.words);
END
--;
CREATE TRIGGER report_text_gone AFTER DELETE ON report_text BEGIN
  INSERT INTO report_words (report_words, rowid, words) VALUES ('delete', old.n, old.words);
END
