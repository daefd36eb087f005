"""A market with a known truth.

One room a question: the numbers (market), the calendar (season), who the leads are (people), their state
and its hazards (world), what happens in a day (day), the whole history and its true probabilities (history),
how systems export it (tables), and the folder it is written to (writing).
"""

from leadscore.simulate.writing import simulate

__all__ = ["simulate"]
