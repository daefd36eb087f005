"""The numbers of the simulated market: sources, touchpoints, campaigns, and every other parameter."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SECONDS_A_DAY = 86_400
WON, LOST, DISQUALIFIED = range(3)
STATUSES = ("won", "lost", "disqualified")


@dataclass(frozen=True)
class Source:
    """Where a lead comes from. `drift` is what `quality` gains over the whole history."""

    name: str
    share: float  # of arrivals, relative
    growth: float  # factor on `share` by the end of the history
    quality: float  # log of the factor on the hazard of a win
    drift: float  # added to `quality` by the last day
    interest: float  # log of the factor on how often these people act by themselves
    action: int  # the touchpoint that created the lead, -1 for none
    blank: float  # share of leads without `employees`


@dataclass(frozen=True)
class Action:
    """One kind of touchpoint."""

    channel: str
    name: str
    rate: float  # a day, from a lead of average interest that nothing has excited
    heat: float  # engagement it adds, before the campaign's pull
    cost: float | None  # median, in euros; None where nobody books one


@dataclass(frozen=True)
class Campaign:
    """What a touchpoint belongs to. `pull` multiplies the heat; `season` is the days of the year it runs."""

    name: str
    channel: str
    pull: float
    season: tuple[int, int] = (1, 366)


SENT, OPEN, CLICK, AD, VISIT, PRICING, DOWNLOAD, FAIR, WEBINAR, DEMO = range(10)
ACTIONS = (  # in the order in which one can lead to the next within a day
    Action("email", "sent", 0.055, 0.0, 0.01),
    Action("email", "open", 0.0, 0.15, None),
    Action("email", "click", 0.0, 0.5, None),
    Action("ads", "click", 0.005, 0.35, 3.2),
    Action("web", "visit", 0.013, 0.3, None),
    Action("web", "pricing", 0.0010, 1.0, None),
    Action("content", "download", 0.0025, 0.7, None),
    Action("event", "visit", 0.010, 1.0, 65.0),
    Action("webinar", "attend", 0.0030, 1.1, 14.0),
    Action("web", "demo_request", 0.0006, 2.4, None),
)
FOLLOWS: dict[int, dict[int, float]] = {  # how many of each one touchpoint of another kind brings forth
    OPEN: {SENT: 0.42},
    CLICK: {OPEN: 0.24},
    VISIT: {
        OPEN: 0.04,
        CLICK: 0.75,
        AD: 0.70,
        VISIT: 0.16,
        PRICING: 0.2,
        DOWNLOAD: 0.2,
        FAIR: 0.3,
        WEBINAR: 0.3,
    },
    PRICING: {VISIT: 0.14, WEBINAR: 0.10},
    DOWNLOAD: {CLICK: 0.14, VISIT: 0.09},
    WEBINAR: {CLICK: 0.05, DOWNLOAD: 0.09},
    DEMO: {VISIT: 0.012, PRICING: 0.20, WEBINAR: 0.16, FAIR: 0.10},
}
CAMPAIGNS = (
    Campaign("nurture", "email", 0.8),
    Campaign("product-news", "email", 1.0),
    Campaign("spring-offer", "email", 1.6, (60, 150)),
    Campaign("win-back", "email", 0.5),
    Campaign("brand", "ads", 0.6),
    Campaign("retargeting", "ads", 1.5),
    Campaign("white-paper", "content", 0.7),
    Campaign("buyers-guide", "content", 1.5),
    Campaign("fair-spring", "event", 1.2, (76, 80)),
    Campaign("fair-autumn", "event", 0.9, (268, 272)),
    Campaign("getting-started", "webinar", 0.8),
    Campaign("roi-clinic", "webinar", 1.5),
    Campaign("onboarding", "email", 0.0, (0, 0)),  # for customers only: see `onboarded`
)
ONBOARDING = len(CAMPAIGNS) - 1
NO_CAMPAIGN = -1
PULL = np.array([campaign.pull for campaign in CAMPAIGNS] + [1.0])  # the last is what NO_CAMPAIGN finds

SOURCES = (
    Source("organic_search", 0.24, 1.0, 0.20, 0.0, 0.10, VISIT, 0.12),
    Source("paid_search", 0.18, 1.2, 0.00, 0.0, 0.00, AD, 0.18),
    Source("paid_social", 0.14, 1.8, -0.45, -0.4, 0.05, AD, 0.35),
    Source("content", 0.14, 1.0, -0.10, 0.0, 0.15, DOWNLOAD, 0.15),
    Source("webinar", 0.10, 1.0, 0.30, 0.0, 0.25, WEBINAR, 0.08),
    Source("event", 0.06, 1.0, 0.10, 0.0, -0.10, FAIR, 0.25),
    Source("referral", 0.07, 1.0, 0.85, 0.0, 0.05, -1, 0.10),
    Source("bought_list", 0.07, 0.7, -0.90, 0.2, -0.60, -1, 0.02),
)
EVENT_SOURCE = [source.name for source in SOURCES].index("event")

INDUSTRIES = {  # share, log factor on the hazard of a win
    "software": (0.22, 0.35),
    "manufacturing": (0.18, 0.15),
    "finance": (0.13, 0.25),
    "retail": (0.14, -0.15),
    "healthcare": (0.11, 0.0),
    "logistics": (0.09, 0.05),
    "education": (0.08, -0.65),
    "public": (0.05, -0.45),
}
COUNTRIES = {  # share, log factor on the hazard of a win
    "DE": (0.28, 0.2),
    "FR": (0.16, 0.0),
    "GB": (0.16, 0.1),
    "NL": (0.10, 0.15),
    "ES": (0.09, -0.15),
    "PL": (0.08, -0.2),
    "SE": (0.07, 0.1),
    "US": (0.06, -0.35),
}
CALL, MAIL, MEETING = range(3)
KINDS = ("call", "email", "meeting")
OUTBOUND, INBOUND = range(2)
DIRECTIONS = ("outbound", "inbound")
REACHED, NO_ANSWER, VOICEMAIL, DELIVERED, REPLIED, HELD, NO_SHOW = range(7)
RESULTS = ("reached", "no_answer", "voicemail", "sent", "replied", "held", "no_show")


@dataclass(frozen=True)
class Market:
    """Every number of the market that is not a property of one source, action or campaign.

    Rates are per day, half-lives in days. `x_by_y` is what one unit of y adds to the log of x.
    """

    first_day: dt.date = dt.date(2025, 1, 1)  # midnight UTC: the first lead may be created from here on
    n_days: int = 545  # of history: by default up to and without 2026-06-30
    horizon_days: int = 30  # a win counts if it comes within so many days

    # who the leads are
    arrival_growth: float = 0.4  # more leads a day at the end than at the start, as a share
    joins_company: float = 0.40  # share of leads whose company already has a lead
    company_spread: float = 0.30  # standard deviation of a company's hidden quality (log hazard)
    lead_spread: float = 0.15  # standard deviation of a person's own hidden quality (log hazard)
    size_sweet_spot: float = 180.0  # employees of the company that fits best
    size_by_distance: float = 0.16  # lost fit per squared unit of log distance from the sweet spot
    scanners: float = 0.07  # share of companies whose mail scanner opens and clicks every email at once
    seen_before: float = 0.28  # share of leads with visits before they were created, stitched on creation
    interest_by_quality: float = 0.35  # better leads act more often by themselves

    # marketing
    excitement_half_life: float = 2.5  # of what one touchpoint does to the likelihood of the next
    heat_half_life: float = 9.0  # of engagement
    mailing_half_life: float = 60.0  # the older a lead, the rarer it is mailed
    fatigue_half_life: float = 14.0  # of outbound touches, by mail or by phone
    response_by_fatigue: float = -0.10  # on opens, replies and reached calls, per outbound touch still felt

    # sellers
    leads_per_seller: int = 160  # in the whole history; between 6 and 48 sellers
    first_answer_days: float = 1.3  # median seller: mean days until the first attempt
    first_answer_spread: float = 0.8  # of its log, between sellers
    skill_spread: float = 0.25  # of the log of what one contact is worth, between sellers
    follow_up_rate: float = 0.14  # attempts on a warm lead, once the first was made
    follow_up_by_unanswered: float = -0.40  # sellers give up
    calls: float = 0.65  # share of attempts that are calls; the rest are emails
    reach_level: float = -0.9  # log odds that a cold lead picks up
    reach_by_heat: float = 0.6  # per log(1 + heat)
    reply_rate: float = 0.14  # per unanswered email of the seller's
    inbound_rate: float = 0.007  # unasked calls and mails, per unit of heat
    inbound_calls: float = 0.2  # share of what leads answer or ask that comes by phone
    meeting_rate: float = 0.045  # per unit of contact, on a warm lead
    meetings_held: float = 0.82  # the rest are no-shows
    contact_half_life: float = 21.0  # of what talking to a seller is worth
    asked_half_life: float = 3.0  # of an email that waits for its reply

    # how leads close
    win_rate: float = 0.00135  # of an average, ripe, cold, untouched lead on an average day
    win_by_heat: float = 1.1  # per log(1 + heat)
    win_by_contact: float = 0.8  # per log(1 + contact)
    win_by_fatigue: float = -0.12  # per outbound touch felt beyond `patience`
    patience: float = 4.0  # outbound touches that do no harm
    ripening_days: float = 8.0  # nobody buys on the first day
    win_half_life: float = 150.0  # the hazard of a win falls with the age of the lead
    win_drift: float = -0.15  # log factor by the end of the history
    lost_rate: float = 0.0052  # once a lead is a month old
    lost_by_heat: float = -0.35  # per log(1 + heat)
    lost_by_quality: float = -0.25  # per unit of log hazard
    lost_by_fatigue: float = 0.07  # per outbound touch felt beyond `patience`
    disqualified_rate: float = 0.016  # of new leads
    disqualified_half_life: float = 12.0  # mostly early
    disqualified_by_quality: float = -0.60  # per unit of log hazard
    onboarded: float = 0.4  # chance that a customer gets an onboarding email, twice drawn

    @classmethod
    def ending(cls, until: dt.date | None) -> Market:
        """Return the market whose history ends before `until`, 00:00 UTC; None is where it ends by default."""
        return cls() if until is None else cls(first_day=until - dt.timedelta(days=cls.n_days))
