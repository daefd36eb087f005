"""Writing a simulated market as a project folder, whole or not at all."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from leadscore.errors import ProjectError
from leadscore.simulate import renewals
from leadscore.simulate.history import run, true_probabilities
from leadscore.simulate.market import Market
from leadscore.simulate.people import People
from leadscore.simulate.season import Season
from leadscore.simulate.tables import Export
from leadscore.simulate.world import World

Kind = Literal["market", "renewals"]
HEADER = "# Written by leadscore simulate"
YEARS = (1980, 2999)
"""In which a history may end."""
FILES = ("leads.csv", "touchpoints.csv", "interactions.csv", "outcomes.csv", "truth.csv", "leadscore.toml")
PROJECT_FILE = """\
{header} --leads {n_leads} --seed {seed}{ending}; every column is explained in data/README.md.
# truth.csv is not named here: no model may read it.
name = "market"
timezone = "UTC"

[leads]
source = "leads.csv"
id = "lead_id"
created = "created_at"
account = "account_id"
origin = "source"
owner = "rep"
categorical = ["source", "industry", "country"]
numeric = ["employees"]

[events.touchpoints]
source = "touchpoints.csv"
lead = "lead_id"
time = "occurred_at"
known = "ingested_at"
id = "event_id"
categorical = ["channel", "action", "campaign"]
numeric = ["cost"]

[events.interactions]
source = "interactions.csv"
lead = "lead_id"
time = "occurred_at"
known = "recorded_at"
id = "event_id"
categorical = ["kind", "direction", "outcome", "rep"]
numeric = ["minutes"]

[outcome]
source = "outcomes.csv"
lead = "lead_id"
time = "closed_at"
column = "status"
won = ["won"]
lost = ["lost", "disqualified"]
known = "recorded_at"

[task]
horizon = "{horizon_days}d"
cutoffs = {{ every = "7d", max_per_lead = 8 }}
observed_until = "{observed_until}"

[reasons.nouns]             # what sellers call things: one, many
touchpoints = ["marketing touch", "marketing touches"]
"touchpoints.channel=content" = ["download", "downloads"]
"touchpoints.channel=web" = ["website visit", "website visits"]
"touchpoints.action=attend" = ["webinar attended", "webinars attended"]
"touchpoints.action=open" = ["e-mail opened", "e-mails opened"]
"touchpoints.action=pricing" = ["pricing-page visit", "pricing-page visits"]
"touchpoints.action=sent" = ["e-mail from marketing", "e-mails from marketing"]
"touchpoints.action=visit" = ["page visit", "page visits"]
interactions = ["contact or attempt", "contacts or attempts"]
"interactions.direction=inbound" = ["contact from them", "contacts from them"]
"interactions.direction=outbound" = ["attempt to reach them", "attempts to reach them"]
"interactions.kind=meeting" = ["meeting held or missed", "meetings held or missed"]
"interactions.outcome=held" = ["meeting held", "meetings held"]
"interactions.outcome=no_answer" = ["unanswered call", "unanswered calls"]
"interactions.outcome=no_show" = ["missed meeting", "missed meetings"]
"interactions.outcome=reached" = ["answered call", "answered calls"]
"interactions.outcome=replied" = ["reply", "replies"]
"interactions.outcome=sent" = ["e-mail from sales", "e-mails from sales"]
"interactions.outcome=voicemail" = ["voicemail", "voicemails"]

[reasons.phrases."interactions.minutes.sum"]
text = "{{n}} minutes spoken{{when}}"
zero = "no minutes spoken{{when}}"
one = "1 minute spoken{{when}}"

[reasons.phrases."interactions.minutes.mean"]
text = "{{n}} minutes spoken on average{{when}}"
none = "no minutes spoken{{when}}"

[reasons.phrases."touchpoints.action.nunique"]
text = "{{n}} different kinds of marketing touch{{when}}"
zero = "no marketing touches{{when}}"
one = "only 1 kind of marketing touch{{when}}"

[reasons.phrases."touchpoints.cost.max"]
text = "up to {{n}} spent on one marketing touch{{when}}"

[reasons.phrases."touchpoints.cost.sum"]
text = "{{n}} spent on marketing to it{{when}}"
zero = "nothing spent on marketing to it{{when}}"
"""


def simulate(
    folder: str | Path,
    *,
    n_leads: int,
    seed: int,
    kind: Kind = "market",
    until: dt.date | None = None,
    truth: bool = True,
    n_truths: int = 5_000,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a simulated market, or another world, as a project folder, whole or not at all.

    A row's `known` is never before its time. With `until` the files hold the rows that were known before it, as
    exports of that midnight would: late rows and redeliveries haven't arrived yet. Without, they hold every row that
    happened before `observed_until`, and `known` may lie after it, so that late data can be tried. Same arguments,
    same bytes.

    Parameters
    ----------
    folder
        Where to. It may be missing, empty, or an earlier simulation: then its files are replaced, and
        others (a tracking database, scores) stay.
    n_leads
        Leads that are created within the 18 months of history (contracts: 30 months), at least 1.
    seed
        Not negative.
    kind
        ``"market"``: leads that marketing and sales win, or ``"renewals"``: contracts that customers renew.
    until
        The history ends before this day, 00:00 UTC, which is midnight in the project's zone too; None is 2026-06-30
        (contracts: 2026-06-19). Seasons and holidays are those of its years, so that another day is another history.
    truth
        Whether `truth.csv` gets rows; without them it holds its header alone. No other file depends on it.
    n_truths
        Most rows of `truth.csv`: a uniform sample of the open leads at Mondays, 00:00 UTC.
    progress
        Called with (steps done, steps in all).

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    ProjectError
        If `folder` holds something else, or an argument is out of range.

    Examples
    --------
    >>> simulate("market", n_leads=2_000, seed=7)  # doctest: +SKIP
    PosixPath('market')
    """
    if n_leads < 1 or seed < 0:
        raise ProjectError(f"simulate needs at least 1 lead and a seed of at least 0; got {n_leads} and {seed}.")
    if until is not None and not YEARS[0] <= until.year <= YEARS[1]:
        raise ProjectError(f"simulate needs an end in the years {YEARS[0]} to {YEARS[1]}; got {until}.")
    folder = Path(folder)
    _refuse_what_is_not_ours(folder)
    if kind == "renewals":
        tables = renewals.simulated(n_leads, seed, n_truths if truth else 0, until or renewals.UNTIL)
        project_file = renewals.project_file(HEADER, n_leads, seed, until)
    else:
        market = Market.ending(until)
        tables = _simulated(market, n_leads, seed, n_truths if truth else 0, progress or (lambda done, total: None))
        project_file = _project_file(market, n_leads, seed, until)
    if until is not None:
        tables = _arrived(tables, project_file, until)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".simulate-", dir=folder if folder.exists() else folder.parent))
    try:
        for name, table in tables.items():
            _write_csv(table, beside / name)
        (beside / "leadscore.toml").write_text(project_file, encoding="utf-8", newline="\n")
        _put_in_place(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _arrived(tables: dict[str, pa.Table], project_file: str, until: dt.date) -> dict[str, pa.Table]:
    """Leave out of outcomes and events what became known at `until`, 00:00 UTC, or later."""
    project = tomllib.loads(project_file)
    known = {
        section["source"]: section.get("known", section["time"])
        for section in (project["outcome"], *project["events"].values())
    }
    end = f"{until}T00:00:00Z"  # as text, since all instants are written alike
    return {
        name: table.filter(pc.less(table[known[name]], end)) if name in known else table
        for name, table in tables.items()
    }


def _refuse_what_is_not_ours(folder: Path) -> None:
    """Raise unless `folder` is missing, empty, or an earlier simulation."""
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} must be a folder; found a file. Name another folder.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    project_file = folder / "leadscore.toml"
    if project_file.is_file() and project_file.read_bytes().startswith(HEADER.encode()):
        return
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:3])
    raise ProjectError(
        f"{folder} must be empty or hold an earlier simulation; found {found}. Name another folder, or empty this one."
    )


def _put_in_place(beside: Path, folder: Path) -> None:
    """Make the finished files appear: a new folder at once, in an existing one the project file last."""
    if not folder.exists():
        beside.chmod(0o755)
        os.replace(beside, folder)
        return
    (folder / "leadscore.toml").unlink(missing_ok=True)  # half a replacement must never be read as a project
    names = sorted(path.name for path in beside.iterdir())
    for name in sorted(names, key=lambda name: name == "leadscore.toml"):
        os.replace(beside / name, folder / name)


def _simulated(
    market: Market, n_leads: int, seed: int, n_truths: int, progress: Callable[[int, int], None]
) -> dict[str, pa.Table]:
    """Live the market and lay out its tables, by file name."""
    n_steps = market.n_days + market.horizon_days
    happening, booking, drawing, replaying = (
        np.random.Generator(np.random.PCG64(stream)) for stream in (seed, [seed, 1], [seed, 2], [seed, 3])
    )
    season = Season.of(market)
    world = World(market, season, People.draw(market, season, n_leads, happening))
    log, moments = run(
        world, happening, n_moments=n_truths, moments_rng=drawing, progress=lambda day: progress(day, n_steps)
    )
    probability = true_probabilities(
        world, moments, replaying, progress=lambda day: progress(market.n_days + day, n_steps)
    )
    export = Export(world, log, booking)
    return {
        "leads.csv": export.leads(),
        "touchpoints.csv": export.touchpoints(),
        "interactions.csv": export.interactions(),
        "outcomes.csv": export.outcomes(),
        "truth.csv": export.truth(moments, probability),
    }


def _project_file(market: Market, n_leads: int, seed: int, until: dt.date | None) -> str:
    """Fill in the project file."""
    return PROJECT_FILE.format(
        header=HEADER,
        n_leads=n_leads,
        seed=seed,
        ending=f" --until {until}" if until else "",
        horizon_days=market.horizon_days,
        observed_until=market.first_day + dt.timedelta(days=market.n_days),
    )


def _write_csv(table: pa.Table, file: Path) -> None:
    """Write plain CSV: no quotes, as no value needs any; nothing for null; LF."""
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    with file.open("wb") as sink:
        sink.write((",".join(table.column_names) + "\n").encode())
        pyarrow.csv.write_csv(table, sink, options)
