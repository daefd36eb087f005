"""What ``leadscore tune`` is made of: where it searches, what it measures, and the study that remembers."""
