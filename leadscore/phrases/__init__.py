"""The phrases of reasons as data, one file per language, and what a project puts in their place."""
