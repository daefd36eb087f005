"""``make fuzz``: start a service with a store and keys, send it what nobody would, and see that it stays well."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx

import leadscore as ls
from service.keys import SCOPES, Key, append
from tests.fuzz.routes import fuzz
from tests.fuzz.sockets import Sender
from tests.service.running import LEADSCORE, start

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
N_HELD_OPEN = 300


@click.command()
@click.option(
    "--cases", default=600, show_default=True, help="For every operation and kind: allowed, forbidden, nearly right."
)
@click.option("--raw", default=3_000, show_default=True, help="Messages put together by chance, beside those listed.")
@click.option("--seed", default=0, show_default=True)
@click.option("--store", metavar="URL", help="An empty database. [default: SQLite]")
def main(cases: int, raw: int, seed: int, store: str | None) -> None:
    """Fuzz a service over data/sample, whose keeper scores everybody each minute and whose answers are all audited."""
    (full, secret), (reader, reader_secret) = Key.mint("all", SCOPES), Key.mint("reader", ["score"])
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        data = ls.Project.load(SAMPLE).read()
        small = {"num_iterations": 60, "learning_rate": 0.1}
        scorer = ls.LeadScorer(seed=0, parameters=small).fit(data, ls.snapshots(data)).save(home / "scorer")
        for key in (full, reader):
            append(key, home / "keys.toml")
        remembered = ("--model", str(scorer), "--store", store or str(home / "store.db"))
        options = (*remembered, "--audit", "1", "--rescore", "1m", "--json")
        running = start(home, SAMPLE, *options, LEADSCORE_API_KEYS_FILE=str(home / "keys.toml"))
        announced = json.loads(running.announcement)
        assert "url" in announced, f"{announced}\n{running.log.read_text()}"
        url = announced["url"]
        document = httpx.get(f"{url}/openapi.json", trust_env=False).json()
        try:
            begun = time.monotonic()
            tally = fuzz(url, document, [secret, reader_secret, "", "unknown"], n_cases=cases, seed_=seed)
            for line in tally.lines():
                click.echo(line)
            click.echo(f"{tally.n:,} cases in {time.monotonic() - begun:.0f} s, every answer as the document says")

            address = urlsplit(url)
            example = document["components"]["schemas"]["LeadDocument"]["examples"][0]
            sender = Sender((str(address.hostname), int(address.port or 0)), secret, example, seed)
            n_raw = sender.run(raw)
            click.echo(f"{n_raw:,} raw messages; {dict(sender.statuses.most_common())}")
            with sender.crowd(N_HELD_OPEN):
                assert sender.good(), "no good answer beside requests that never end"
            click.echo(f"{N_HELD_OPEN} requests that never end, beside which a good one is answered")
        finally:
            code = running.stop(signal.SIGTERM)
        log = running.log.read_text(errors="replace")
        wrong = [line for line in log.splitlines() if "Traceback" in line or '"fault"' in line]
        click.echo(f"exit code {code}; {len(log.splitlines()):,} lines of log, {len(wrong)} faults")
        for line in wrong[:10]:
            click.echo(line)
        audited = subprocess.run([*LEADSCORE, "audit", str(SAMPLE), *remembered], capture_output=True, text=True)
        click.echo(audited.stdout or audited.stderr)
        if wrong or code or audited.returncode:
            raise SystemExit(1)


main()
