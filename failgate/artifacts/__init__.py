"""Private bytes: what a store must do, and the verbs that put, open and unlink artifacts."""
