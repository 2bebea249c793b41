"""Tasks that have no suite: their logged feedback is what candidates are measured with."""
