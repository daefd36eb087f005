"""The real-time scoring service: BentoML runs the process, FastAPI answers."""

UNREGISTERED = "local"
"""The version of a scorer that came from a folder and no registry."""
