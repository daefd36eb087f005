"""Worlds of leadforge (PyPI, MIT), generated where a test needs one, mapped as leadforge writes them.

leadforge simulates a funnel day by day and says which of its columns are traps. Nothing of it is kept in this
repository: `world` and `flat_world` write a project into a folder, the same for the same seed.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from leadscore.project import Project

RECIPE = "b2b_saas_procurement_v1"
HORIZON_DAYS, SNAPSHOT_DAY = 90, 30
TRAP = "total_touches_all"
"""Declared by leadforge as its leakage trap: touches of the whole 90 days, in a snapshot of day 30."""
ALSO_DECLARED = ("current_stage", "is_sql")
"""Declared as risky too: in these worlds they are states of the end, not of the snapshot."""

_TIMED = """
# leadforge's own tables, as they are. Days without times: what happened on the day of a cutoff is not seen by it.
name = "leadforge"

[leads]
source = "tables/leads.parquet"
id = "lead_id"
created = "lead_created_at"
account = "account_id"
origin = "lead_source"
owner = "owner_rep_id"
categorical = ["lead_source", "first_touch_channel"]

[events.touches]
source = "tables/touches.parquet"
lead = "lead_id"
time = "touch_timestamp"
id = "touch_id"
categorical = ["touch_type", "touch_channel", "touch_direction", "campaign_id"]

[events.sessions]
source = "tables/sessions.parquet"
lead = "lead_id"
time = "session_timestamp"
id = "session_id"
categorical = ["session_type"]
numeric = ["page_views", "pricing_page_views", "demo_page_views", "session_duration_seconds"]

[events.sales_activities]
source = "tables/sales_activities.parquet"
lead = "lead_id"
time = "activity_timestamp"
id = "activity_id"
categorical = ["rep_id", "activity_type", "activity_outcome"]

[outcome]
source = "tables/opportunities.parquet"
lead = "lead_id"
time = "closed_at"
column = "close_outcome"
won = ["closed_won"]
lost = ["closed_lost"]

[task]
horizon = "90d"
cutoffs = {{ at_age = ["7d", "14d", "30d"] }}
observed_until = "{observed_until}"
"""
_NOT_FEATURES = frozenset(
    ("account_id", "contact_id", "lead_id", "lead_created_at", "converted_within_90_days", *ALSO_DECLARED)
)


def world(folder: Path, *, n_leads: int = 2_000, seed: int = 1) -> Path:
    """Write a world whose outcomes have times into a folder, and return that.

    The horizon is leadforge's own, 90 days, from its own day of the snapshot, 30 days after a lead came in, and from
    two before. Each lead is simulated for both together, 120 days, so that every snapshot is mature.
    """
    _generate(folder, n_leads=n_leads, seed=seed, horizon_days=HORIZON_DAYS + SNAPSHOT_DAY)
    created = pd.to_datetime(pd.read_parquet(folder / "tables" / "leads.parquet")["lead_created_at"])
    end = (created.max() + pd.Timedelta(days=HORIZON_DAYS + SNAPSHOT_DAY + 1)).date().isoformat()
    (folder / "leadscore.toml").write_text(_TIMED.format(observed_until=end).lstrip(), encoding="utf-8")
    return folder


def flat_world(folder: Path, *, n_leads: int = 5_000, seed: int = 1, trap: bool = True) -> Path:
    """Write leadforge's own table of snapshots at day 30 as a labelled list, with its declared trap or without."""
    _generate(folder, n_leads=n_leads, seed=seed)
    parts = sorted((folder / "tasks" / "converted_within_90_days").glob("*.parquet"))
    table = pd.concat([pd.read_parquet(part) for part in parts]).sort_values("lead_id")
    table.to_parquet(folder / "snapshots.parquet", index=False)
    names = [name for name in table.columns if name not in _NOT_FEATURES and (trap or name != TRAP)]
    numeric = [name for name in names if pd.api.types.is_numeric_dtype(table[name].dtype) and not _is_bool(table[name])]
    Project.from_dict(raw := _flat(names, numeric), folder=folder)
    (folder / "leadscore.toml").write_text(_as_toml(raw), encoding="utf-8")
    return folder


def _generate(folder: Path, *, n_leads: int, seed: int, horizon_days: int = HORIZON_DAYS) -> None:
    generator = pytest.importorskip("leadforge.api.generator", reason="leadforge is a development extra")
    made = generator.Generator.from_recipe(
        RECIPE, seed=seed, exposure_mode="research_instructor", n_leads=n_leads, horizon_days=horizon_days
    )
    made.generate().save(str(folder))


def _is_bool(column: pd.Series) -> bool:
    return bool(pd.api.types.is_bool_dtype(column.dtype))


def _flat(names: list[str], numeric: list[str]) -> dict[str, dict[str, object]]:
    return {
        "leads": {
            "source": "snapshots.parquet",
            "id": "lead_id",
            "categorical": [name for name in names if name not in numeric],
            "numeric": numeric,
        },
        "outcome": {
            "source": "snapshots.parquet",
            "lead": "lead_id",
            "column": "converted_within_90_days",
            "won": ["true"],
        },
    }


def _as_toml(raw: dict[str, dict[str, object]]) -> str:
    """Texts and lists of texts alone."""
    lines = ['name = "leadforge_flat"']
    for section, keys in raw.items():
        lines += ["", f"[{section}]", *(f"{key} = {value!r}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"
