"""The training report as a page: the verdict first, then everything a sceptic would ask for."""

from leadscore.evaluate.report_page.assemble import report_page

__all__ = ["report_page"]
