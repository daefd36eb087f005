"""How good the scores are, and what the data can support."""
