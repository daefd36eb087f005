"""A first ``leadscore.toml`` from exported files: recognise the tables and columns, and write what was recognised."""

from leadscore.init.writing import init

__all__ = ["init"]
