"""The log that an outsider can verify: canonical records, chain, tree, checkpoints, followers."""
