"""A project file from exported tables: what is recognised, what is left out and why, and when nothing is written."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import leadscore as ls
from leadscore.cli import main
from leadscore.errors import DataError, ProjectError
from leadscore.init import init
from leadscore.init.exports import words

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
SHARED = ROOT.parent / "shared" / "data"

HUBSPOT = """Record ID,First Name,Last Name,Email,Phone Number,Create Date,Lifecycle Stage,Lead Status,Original Source,\
Contact owner,Associated Company,Close Date,Number of Pageviews,Industry,Number of Employees,Notes last updated
"""
HUBSPOT_ACTIVITIES = "Engagement ID,Contact ID,Activity Date,Type,Direction\n"
SALESFORCE = """Id,FirstName,LastName,Email,Company,Status,IsConverted,ConvertedDate,ConvertedAccountId,LeadSource,\
OwnerId,CreatedDate,LastModifiedDate,Industry,NumberOfEmployees,Description
"""
LIST = "source,visits,phone,result\n" + "".join(
    f"{('ads', 'web')[n % 2]},{n % 7},0170{n:06},{('signed up', 'no', '')[n % 3]}\n" for n in range(60)
)


def hubspot(folder: Path) -> list[Path]:
    rows = [
        f"{9000 + n},Ann{n},Bee{n},a{n}@example.org,+49 170 {n:05},2026-01-{n % 28 + 1:02} 09:30,"
        f"{('lead', 'customer', 'opportunity')[n % 3]},{('Open', 'Connected')[n % 2]},{('Organic', 'Paid')[n % 2]},"
        f"Rep {n % 4},Company {n % 9},{f'2026-02-{n % 28 + 1:02} 17:00' if n % 3 == 1 else ''},"
        f"{n % 5},{('IT', 'Retail')[n % 2]},{n % 50},2026-03-01 10:00\n"
        for n in range(60)
    ]
    (folder / "hubspot-contacts.csv").write_text(HUBSPOT + "".join(rows))
    events = [
        f"{n},{9000 + n % 60},2026-01-{n % 28 + 1:02} 12:00,{('EMAIL', 'CALL')[n % 2]},{('IN', 'OUT')[n // 2 % 2]}\n"
        for n in range(200)
    ]
    (folder / "activities.csv").write_text(HUBSPOT_ACTIVITIES + "".join(events))
    return [folder / "activities.csv", folder / "hubspot-contacts.csv"]


def salesforce(folder: Path) -> Path:
    rows = [
        f"00Q{n:05},Ann,Bee{n},a{n}@example.org,Company {n % 9},"
        f"{('Open - Not Contacted', 'Closed - Converted', 'Closed - Not Converted')[n % 3]},"
        f"{('false', 'true', 'false')[n % 3]},{f'2026-02-{n % 28 + 1:02}' if n % 3 == 1 else ''},"
        f"{f'001{n}' if n % 3 == 1 else ''},{('Web', 'Event')[n % 2]},005{n % 3},2026-01-{n % 28 + 1:02}T08:00:00.000Z,"
        f"2026-03-01T08:00:00.000Z,{('IT', 'Retail')[n % 2]},{n % 50},{'wants a call, ' * 6 if n % 2 else 'x' * 90}\n"
        for n in range(60)
    ]
    path = folder / "export.csv"
    path.write_text(SALESFORCE + "".join(rows).replace("wants a call, ", "wants a call; "))
    return path


def plain(folder: Path) -> list[Path]:
    tables = sorted(path for path in SAMPLE.glob("*.csv") if path.name != "scored.csv")  # which a demo leaves there
    return [Path(shutil.copy(path, folder)) for path in tables]


def reasons(written) -> dict[str, str]:
    return {item["column"]: item["reason"] for item in written.left_out}


def run(*command: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(word) for word in command])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("name", ["CreatedDate", "created_date", "Created Date", " created-date ", "Created_Date__c"])
def test_names_are_compared_as_words(name) -> None:
    assert words(name) == "created date"


def test_plain_tables_become_the_project_that_a_person_wrote(tmp_path) -> None:
    written = init(plain(tmp_path), tmp_path)
    by_hand = tomllib.loads((SAMPLE / "leadscore.toml").read_text())
    for section in ("leads", "events", "outcome"):
        assert written.recognised[section] == by_hand[section]
    assert [item["file"] for item in written.left_out] == ["truth.csv"]
    assert written.recognised["task"] == {"horizon": "30d"}


def test_what_plain_tables_say_reads_as_by_hand(tmp_path, sample, sample_snapshots) -> None:
    paths = [path for path in plain(tmp_path) if path.name != "truth.csv"]
    init(sorted(paths, key=lambda path: path.name != "touchpoints.csv"), tmp_path)  # event tables keep their order
    data = ls.Project.load(tmp_path).read()
    assert data.fingerprint == sample.fingerprint
    assert len(ls.snapshots(data)) > 0.9 * len(sample_snapshots)


def test_sections_stand_in_the_order_of_every_project(tmp_path) -> None:
    text = init(plain(tmp_path), tmp_path).file.read_text()
    found = re.findall(r"^\[(.+)\]$", text, flags=re.MULTILINE)
    assert found == ["leads", "events.interactions", "events.touchpoints", "outcome", "task"]
    assert text.startswith("# Written by leadscore init")
    assert 'truth.csv" is not used' in text


def test_parquet_says_the_same_as_csv(tmp_path) -> None:
    for path in plain(tmp_path):
        pd.read_csv(path, dtype=object).to_parquet(path.with_suffix(".parquet"))
    written = init(sorted(tmp_path.glob("*.parquet")), tmp_path / "project")
    by_hand = tomllib.loads((SAMPLE / "leadscore.toml").read_text())
    assert written.recognised["leads"] == {**by_hand["leads"], "source": "../leads.parquet"}


def test_hubspot(tmp_path) -> None:
    written = init(hubspot(tmp_path), tmp_path / "acme")
    assert written.recognised == {
        "name": "acme",
        "timezone": "UTC",
        "leads": {
            "source": "../hubspot-contacts.csv",
            "id": "Record ID",
            "created": "Create Date",
            "account": "Associated Company",
            "origin": "Original Source",
            "owner": "Contact owner",
            "categorical": ["Original Source", "Industry"],
            "numeric": ["Number of Employees"],
        },
        "events": {
            "activities": {
                "source": "../activities.csv",
                "lead": "Contact ID",
                "time": "Activity Date",
                "id": "Engagement ID",
                "categorical": ["Type", "Direction"],
            }
        },
        "outcome": {
            "source": "../hubspot-contacts.csv",
            "lead": "Record ID",
            "time": "Close Date",
            "column": "Lifecycle Stage",
            "won": ["customer"],
        },
        "task": {"horizon": "30d"},
    }
    why = reasons(written)
    assert {why[column] for column in ("First Name", "Last Name", "Email", "Phone Number")} == {"may name a person"}
    assert "give the outcome away" in why["Lead Status"]
    assert why["Number of Pageviews"] == "counts up to the day of the export, so past the cutoff"
    text = written.file.read_text()
    assert '# Also seen, neither in won nor in lost: "lead", "opportunity".' in text
    assert "example.org" not in text
    assert len(ls.Project.load(tmp_path / "acme").read().leads.ids) == 60


def test_salesforce_in_one_file(tmp_path) -> None:
    written = init([salesforce(tmp_path)], tmp_path)
    leads, outcome = written.recognised["leads"], written.recognised["outcome"]
    assert leads == {
        "source": "export.csv",
        "id": "Id",
        "created": "CreatedDate",
        "account": "Company",
        "origin": "LeadSource",
        "owner": "OwnerId",
        "categorical": ["LeadSource", "Industry"],
        "numeric": ["NumberOfEmployees"],
    }
    assert outcome["time"] == "ConvertedDate"
    assert (outcome["column"], outcome["won"]) == ("IsConverted", ["true"])
    assert "lost" not in outcome  # nothing says when: reading would reject every such row
    why = reasons(written)
    assert {"Status", "ConvertedAccountId", "LastModifiedDate", "Description", "Email"} <= set(why)


def test_a_loss_counts_where_it_has_a_time(tmp_path) -> None:
    rows = [
        f"{n},2026-01-{n % 28 + 1:02},{('Closed Won', 'Closed Lost', 'Negotiation')[n % 3]},"
        f"2026-02-{n % 28 + 1:02},{n % 3 == 0},{n}\n"
        for n in range(60)
    ]
    (tmp_path / "opportunities.csv").write_text("Id,CreatedDate,StageName,CloseDate,IsWon,Amount\n" + "".join(rows))
    outcome = init([tmp_path / "opportunities.csv"], tmp_path).recognised["outcome"]
    assert (outcome["column"], outcome["won"], outcome["lost"]) == ("StageName", ["Closed Won"], ["Closed Lost"])


def test_ids_that_repeat_are_versions(tmp_path) -> None:
    rows = "".join(f"{n % 20},2026-01-01,2026-02-{n % 28 + 1:02},{n % 3},{('a', 'b')[n % 2]}\n" for n in range(60))
    (tmp_path / "leads.csv").write_text("lead_id,created_at,updated_at,size,source\n" + rows)
    (tmp_path / "deals.csv").write_text("lead_id,won_date\n1,2026-03-01\n2,2026-03-02\n")
    written = init([tmp_path / "leads.csv", tmp_path / "deals.csv"], tmp_path)
    assert written.recognised["leads"]["known"] == "updated_at"
    assert "column" not in written.recognised["outcome"]  # every row of deals.csv is a win


def test_a_labelled_list_needs_no_times(tmp_path) -> None:
    (tmp_path / "list.csv").write_text(LIST)
    written = init([tmp_path / "list.csv"], tmp_path, won=["signed up"])
    assert written.recognised["leads"] == {
        "source": "list.csv", "origin": "source", "categorical": ["source"], "numeric": ["visits"],
    }  # fmt: skip
    assert written.recognised["outcome"] == {"source": "list.csv", "column": "result", "won": ["signed up"]}
    assert written.recognised["task"] == {"split": "random"}
    assert reasons(written) == {"phone": "may name a person"}
    assert not ls.Project.load(tmp_path).timed


def test_a_column_filled_in_for_wins_alone_is_left_out(tmp_path) -> None:
    rows = "".join(f"{n},{n % 4},{'x' if n % 3 == 0 else ''},{('won', 'lost', 'lost')[n % 3]}\n" for n in range(90))
    rows = rows.replace(",x,", ",basic,").replace("1,1,,", "1,1,basic,").replace("5,1,,", "5,1,plus,")
    (tmp_path / "list.csv").write_text("lead_id,visits,contract,status\n" + rows)
    assert "never empty where a lead was won" in reasons(init([tmp_path / "list.csv"], tmp_path))["contract"]


def test_odd_names_stay_inside_their_quotes(tmp_path) -> None:
    odd = 'so "quoted"\n[model] \\ é'
    frame = pd.DataFrame({"lead id": range(40), odd: [0.5, 1] * 20, "": [1, 2] * 20, "status": ["won", "x\ny"] * 20})
    frame.to_csv(tmp_path / "leads.csv", index=False)
    written = init([tmp_path / "leads.csv"], tmp_path)
    assert written.recognised["leads"]["numeric"] == [odd]
    assert reasons(written) == {"": "has no name of its own"}
    assert "model" not in written.recognised


def test_parquet_that_holds_lists_loses_only_them(tmp_path) -> None:
    frame = pd.DataFrame({"lead_id": range(40), "size": [1, 2] * 20, "basket": [[1]] * 40, "won": [True, False] * 20})
    frame.to_parquet(tmp_path / "leads.parquet")
    written = init([tmp_path / "leads.parquet"], tmp_path)
    assert reasons(written) == {"basket": "does not hold one value a row"}
    assert written.recognised["outcome"]["won"] == ["true"]


def test_event_tables_take_the_names_of_their_files(tmp_path) -> None:
    plain(tmp_path)
    for old, new in (("touchpoints.csv", "Größe 2.csv"), ("interactions.csv", "lead.csv")):
        (tmp_path / old).rename(tmp_path / new)
    files = [tmp_path / name for name in ("leads.csv", "outcomes.csv", "Größe 2.csv", "lead.csv")]
    assert set(init(files, tmp_path).recognised["events"]) == {"größe_2", "lead_events"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"list.csv": LIST},
            "list.csv does not say which leads were won: 'result' says 'no', 'signed up'. Name the column and its "
            "values, or another file: --column status=COLUMN --won VALUE, --outcome FILE",
        ),
        (
            {"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"},
            "no file looks like the table of leads (one row a lead, an id without repeats, a creation time): "
            "a.csv, b.csv. Name it: --leads FILE",
        ),
        (
            {
                "leads.csv": "lead_id,size,status\n1,2,won\n2,3,lost\n",
                "calls.csv": "lead_id,called_at,kind\n1,2026-01-01,a\n2,2026-01-02,b\n",
            },
            "leads.csv has no column that says when a lead was created, which the events of calls.csv need. "
            "Name it: --column created=COLUMN; or leave the events out",
        ),
        (
            {"leads.csv": "lead_id,status\n1,won\n2,lost\n"},
            "nothing was written, because what was recognised does not read: leadscore.toml: nothing to learn from: "
            "list categorical or numeric columns, or add an [events.…] table",
        ),
    ],
    ids=["no win", "no leads", "no creation time", "nothing to learn from"],
)
def test_whole_or_not_at_all(tmp_path, files, message) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as failed:
        init([tmp_path / name for name in files], tmp_path / "out")
    assert str(failed.value) == message
    assert not (tmp_path / "out").exists()


def test_dates_that_read_two_ways_ask_for_their_format(tmp_path) -> None:
    rows = "".join(f"{n},0{n % 9 + 1}/03/2026,{n % 3},{('won', '')[n % 2]},0{n % 9 + 1}/04/2026\n" for n in range(40))
    (tmp_path / "leads.csv").write_text("lead_id,created,size,status,closed_at\n" + rows)
    with pytest.raises(DataError, match=re.escape("or give --time-format")):
        init([tmp_path / "leads.csv"], tmp_path)
    written = init([tmp_path / "leads.csv"], tmp_path, time_format="%d/%m/%Y")
    assert written.recognised["leads"]["time_format"] == written.recognised["outcome"]["time_format"] == "%d/%m/%Y"
    assert ls.Project.load(tmp_path).read().observed_until == 1_775_692_800_000_000  # 2026-04-09


def test_a_person_settles_what_names_do_not_say(tmp_path) -> None:
    rows = "".join(f"{n},2026-01-01,{n % 3},{('paid up', '')[n % 2]},2026-02-01\n" for n in range(40))
    (tmp_path / "x.csv").write_text("nummer,anfang,size,ausgang,ende\n" + rows)
    named = {"id": "nummer", "created": "anfang", "status": "ausgang", "closed": "ende"}
    written = init([tmp_path / "x.csv"], tmp_path, won=["paid up"], columns=named)
    assert ls.Project.load(tmp_path).timed
    assert written.recognised["outcome"]["column"] == "ausgang"
    with pytest.raises(DataError, match=r"--column names 'anfnag' as created, .* Did you mean 'anfang'\?"):
        init([tmp_path / "x.csv"], tmp_path / "y", won=["paid up"], columns={**named, "created": "anfnag"})
    with pytest.raises(DataError, match=r"column 'size' does not hold times: its commonest value looks like '9'"):
        init([tmp_path / "x.csv"], tmp_path / "y", won=["paid up"], columns={**named, "created": "size"})


def test_flags_choose_among_files(tmp_path) -> None:
    for name in ("leads_old.csv", "leads_new.csv"):
        (tmp_path / name).write_text("lead_id,created_at,size\n1,2026-01-01,3\n2,2026-01-02,4\n")
    (tmp_path / "result.csv").write_text("lead_id,closed_at,status\n1,2026-02-01,won\n")
    files = sorted(tmp_path.glob("leads*.csv"))
    with pytest.raises(DataError, match=r"^more than one file looks like the table of leads .*Name it: --leads FILE$"):
        init(files, tmp_path, outcome=tmp_path / "result.csv")
    recognised = init(files, tmp_path, leads=files[0], outcome=tmp_path / "result.csv").recognised
    assert recognised["leads"]["source"] == "leads_new.csv"
    assert recognised["outcome"]["source"] == "result.csv"


def test_an_existing_project_is_never_overwritten(tmp_path) -> None:
    (tmp_path / "leadscore.toml").write_text("mine")
    with pytest.raises(ProjectError) as failed:
        init(plain(tmp_path), tmp_path)
    assert str(failed.value) == (
        f"{tmp_path / 'leadscore.toml'} exists, and init overwrites nothing. Move it away, or choose another --out"
    )
    assert (tmp_path / "leadscore.toml").read_text() == "mine"


def test_the_verb_speaks_to_people_and_machines(tmp_path) -> None:
    path = salesforce(tmp_path)
    code, out, _ = run("init", path, "--out", tmp_path / "one")
    assert code == 0
    assert "left out export.csv: Email (may name a person)" in out
    assert f"leadscore check {tmp_path / 'one'}; leadscore train {tmp_path / 'one'}" in out
    code, out, _ = run("init", path, "--out", tmp_path / "two", "--json")
    told = json.loads(out)
    assert code == 0
    assert set(told) == {"file", "recognised", "left_out"}
    assert told["file"] == str(tmp_path / "two" / "leadscore.toml")
    assert told["recognised"]["leads"]["id"] == "Id"
    assert run("init", path, "--out", tmp_path / "one")[0] == 1
    assert run("init", path, "--out", tmp_path / "three", "--column", "colour=red")[0] == 2
    assert run("init", "--out", tmp_path / "three")[0] == 2


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data")
@pytest.mark.parametrize("name", ["bank", "bpic2012", "control_leak", "control_null", "olist", "x_education"])
def test_public_exports_become_projects(tmp_path, name) -> None:
    written = init(sorted((SHARED / name).glob("*.csv")), tmp_path)
    by_hand, found = ls.Project.load(SHARED / name), ls.Project.load(tmp_path)
    assert found.timed == by_hand.timed
    for role in ("id", "created"):
        assert getattr(found.leads, role) == getattr(by_hand.leads, role)
    for role in ("lead", "time", "column", "won", "lost"):
        if role != "lead" or by_hand.outcome.lead:
            assert getattr(found.outcome, role) == getattr(by_hand.outcome, role)
    assert [(spec.name, spec.categorical) for spec in found.events] == [
        (spec.name, spec.categorical) for spec in by_hand.events
    ]
    traps = {
        "bank": {"duration"},
        "control_leak": {"Account", "Close_Value"},
        "control_null": {"account", "close_value"},
        "x_education": {"Tags", "Lead Quality", "Lead Profile", "Last Activity", "Last Notable Activity",
                        "Asymmetrique Activity Index", "Asymmetrique Profile Score"},
    }  # fmt: skip
    assert traps.get(name, set()) <= set(reasons(written))
