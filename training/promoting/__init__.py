"""The parts of a promotion: the two models side by side, the gates, who changes grade, and the page of it."""
