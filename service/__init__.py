"""The real-time scoring service: BentoML runs the process, FastAPI answers."""
