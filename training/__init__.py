"""Verbs that retrain, compare and ship models: one verb a file."""
