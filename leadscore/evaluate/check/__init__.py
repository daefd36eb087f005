"""Data quality and leakage, told before anything is trained: ``leadscore check``."""

from leadscore.evaluate.check.findings import Finding
from leadscore.evaluate.check.report import Checked, check, render
from leadscore.evaluate.check.summary import Summary

__all__ = ["Checked", "Finding", "Summary", "check", "render"]
