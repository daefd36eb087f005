"""Data quality and leakage, told before anything is trained: ``leadscore check``."""

from leadscore.evaluate.check.findings import Finding
from leadscore.evaluate.check.known import FirstKnown
from leadscore.evaluate.check.report import Checked, at_a_glance, check, render
from leadscore.evaluate.check.signal import Signal
from leadscore.evaluate.check.summary import Summary

__all__ = ["Checked", "Finding", "FirstKnown", "Signal", "Summary", "at_a_glance", "check", "render"]
