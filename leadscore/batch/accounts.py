"""Which account each row of leads names, by hash: what parting by account asks of leads before all else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from leadscore.batch.budget import Table
from leadscore.batch.keys import Shared, pairs_of
from leadscore.batch.pieces import Piece
from leadscore.batch.spilling import ACCOUNTS
from leadscore.batch.writing import batches_of
from leadscore.columns import text_column
from leadscore.errors import NoSourceError
from leadscore.hashing import NOTHING, Hashes, hashed
from leadscore.project import Project
from leadscore.reading import OWN
from leadscore.sources import Rows

Accounts = tuple[Hashes, Hashes]
"""Of some rows of leads the hashes of lead and account; `NOTHING` where there is none."""


def accounts_of(project: Project, rows: Rows) -> Accounts:
    """Return those of rows as they stand in their source, also of those that will be rejected."""
    text = text_column(rows.table[str(project.leads.account)])
    missing = pc.is_in(text, value_set=pa.array(project.leads.missing, pa.string()))
    accounts = np.where(missing.to_numpy(zero_copy_only=False), NOTHING, hashed(text))
    return hashed(text_column(rows.table[str(project.leads.id)])), accounts


def write_accounts(path: Path, leads: Hashes, accounts: Hashes) -> None:
    """Write them beside a stretch."""
    batch = pa.record_batch({"lead": leads, "account": accounts})
    with batches_of(path, batch.schema) as file:
        file.write_batch(batch)


def read_accounts(path: Path) -> Accounts:
    """Read what `write_accounts` wrote."""
    with pa.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as file:
        batch = file.get_batch(0)
        return batch.column("lead").to_numpy(), batch.column("account").to_numpy()


def accounts_in(project: Project, pieces: Iterable[Piece]) -> Iterator[Accounts]:
    """Return the accounts of a table: of pieces that are there from beside their rows, of others by reading them."""
    for piece in pieces:
        paths = piece.stretches()
        if paths is None:
            yield from (accounts_of(project, rows) for rows in piece.read(account_columns(project), ()))
        else:
            yield from (read_accounts(path.with_suffix(ACCOUNTS)) for path in paths)


def account_columns(project: Project) -> list[str]:
    """Return the columns that `accounts_of` looks at."""
    return [str(project.leads.id), str(project.leads.account)]


def shared_accounts(tables: list[Table], n_parts: int, accounts: Callable[[Table], Iterator[Accounts]]) -> Shared:
    """Find which leads share an account, by what `accounts` gives of a table; see `Shared` for what that holds."""
    found: list[Hashes] = []
    for table in tables:
        if table.key not in ("leads", OWN):
            continue
        try:
            found += (pairs_of(*of_some) for of_some in accounts(table))
        except NoSourceError:
            if table.key == "leads":
                raise
    pairs = np.concatenate(found)
    del found
    return Shared.of(pairs, n_parts)
