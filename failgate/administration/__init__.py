"""What an operator with access to the host may do, as named verbs; every door to it is local to the machine."""
