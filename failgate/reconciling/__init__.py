"""Tables and log, compared: every row has its record, every record its row. Commands, votes, rules: `gate/`."""
