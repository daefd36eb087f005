"""One self-contained HTML page: a verdict first, then sections of text, tables and pictures."""

from leadscore.evaluate.page.blocks import Behind, Block, Listing, Picture, Section, Table, Text
from leadscore.evaluate.page.render import Page, render, render_body

__all__ = ["Behind", "Block", "Listing", "Page", "Picture", "Section", "Table", "Text", "render", "render_body"]
