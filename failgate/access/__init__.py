"""Who may do what: principals, permissions, roles and the one decision. Pure: no I/O, no clock, no database."""
