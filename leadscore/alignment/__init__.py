"""What marketing and sales measure together: channels, the funnel, and the agreement between them."""

from leadscore.alignment.agreement import Agreement, Verdicts, agreement
from leadscore.alignment.channels import Channels, channels, dimensions
from leadscore.alignment.cohort import Cohort
from leadscore.alignment.funnel import Funnel, funnel
from leadscore.alignment.handover import Handovers, handovers

__all__ = [
    "Agreement",
    "Channels",
    "Cohort",
    "Funnel",
    "Handovers",
    "Verdicts",
    "agreement",
    "channels",
    "dimensions",
    "funnel",
    "handovers",
]
