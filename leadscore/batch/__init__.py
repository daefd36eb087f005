"""Whole lists: scored in slices, in memory or out of it, written whole or not at all."""

from leadscore.batch.lists import SLICE, score_list, write_list
from leadscore.batch.writing import ENDINGS, whole_or_nothing, write_page

__all__ = ["ENDINGS", "SLICE", "score_list", "whole_or_nothing", "write_list", "write_page"]
