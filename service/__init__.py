"""The real-time scoring service: BentoML runs the process, FastAPI answers."""

UNREGISTERED = "local"
"""Begins the version of a scorer that came from a folder and no registry: ``local-`` and digits of its digest."""
