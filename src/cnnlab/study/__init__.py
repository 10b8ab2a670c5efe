"""Studies: a question, its arms under several seeds, and the claims to be decided."""
