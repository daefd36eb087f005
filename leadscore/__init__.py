"""Lead scoring you can trust: as-of features, calibrated probabilities, exact reasons.

::

    import leadscore as ls

    data = ls.Project.load("data/sample").read()
    scorer = ls.LeadScorer().fit(data, ls.snapshots(data))
    scores = scorer.score(data, as_of="2026-05-01")
"""

from leadscore.errors import LeadScoreError, LeadScoreWarning
from leadscore.explain.treeshap import TreeShap
from leadscore.features.plan import FeaturePlan
from leadscore.model.scorer import LeadScorer
from leadscore.project import Project
from leadscore.reading import read
from leadscore.snapshots import Snapshots, snapshots
from leadscore.tables import Cutoffs, Data

__all__ = [
    "Cutoffs",
    "Data",
    "FeaturePlan",
    "LeadScoreError",
    "LeadScoreWarning",
    "LeadScorer",
    "Project",
    "Snapshots",
    "TreeShap",
    "read",
    "snapshots",
]
