-- What is searched for leaves the second wall, for behind it no index of words can be used: `@@` is not leakproof, so the
-- wall would look at each row first (0.4 s among 100,000 reports). A search shows only rows of `report`, which stays walled.
DROP POLICY of_workspace ON report_text
--;
ALTER TABLE report_text NO FORCE ROW LEVEL SECURITY
--;
ALTER TABLE report_text DISABLE ROW LEVEL SECURITY
