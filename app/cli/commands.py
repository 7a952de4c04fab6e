"""The commands: which there are, what each does in a line, and which module it is in."""

from collections.abc import Mapping
from importlib import metadata
from typing import Annotated, ClassVar, Final

import typer

from app.cli.lazy import Entry, Lazy, LazyGroup
from app.cli.options import DataDirOption, GivenKeyOption, GivenServerOption

EXIT_CODES: Final = """
Exit codes: 0 done; 1 refused; 2 wrong usage, also an id or a number that cannot be; 3 no such thing; 4 the run ended
without a verdict; 5 the service, its database or a file cannot be reached; 6 the verdict is not the one that --expect
names; 7 an attestation's signature is wrong or missing; 8 a file is not the attested one; 9 the evidence decides
otherwise; 130 interrupted.
"""
_TABLE: Final = (
    ("up", "up", "up", "Start everything: servers, migration, API and worker."),
    ("papers", "papers", "papers", "List papers, newest verdict first."),
    ("show", "papers", "show", "Show a paper's document: its verdicts as they stand."),
    ("claims", "claims", "claims", "The numbers that a paper reports."),
    ("drivers", "drivers", "drivers", "List the drivers."),
    ("reproduce", "runs", "reproduce", "Ask for a reproduction of a claim."),
    ("runs", "runs", "runs", "List runs, newest first, how far they are, and their verdicts."),
    ("cancel", "runs", "cancel", "Cancel a run. A worker that is at it stops at its next heartbeat."),
    ("follow", "runs", "follow", "Follow a run to its end, and print its verdict."),
    ("import", "importing", "import_", "Import a paper: its metadata from arXiv, or its document with all verdicts."),
    ("verify", "attestations", "verify", "Check an attestation offline: signature, files, and the decision itself."),
    ("keys", "keys", "keys", "Make, list and revoke API keys."),
    ("webhooks", "webhooks", "webhooks", "Register, list and remove webhooks."),
    ("audit", "audit", "audit", "Show who changed what, newest first."),
    ("signing-key", "attestations", "signing_key", "Make the key that attestations are signed with."),
    ("backup", "backups", "backup", "Write the whole database to one file, while the service goes on."),
    ("restore", "backups", "restore", "Make the database what it was when the backup was taken."),
    ("api", "serving", "api", "Serve the API on a database and a Redis that run already."),
    ("worker", "serving", "worker", "Run the worker: one process a device."),
    ("migrate", "migrating", "migrate", "Bring the database's schema to the newest version."),
)
COMMANDS: Final = {name: Entry(Lazy(module, attribute), words) for name, module, attribute, words in _TABLE}


class _Verdicts(LazyGroup):
    table: ClassVar[Mapping[str, Entry]] = COMMANDS


app: Final = typer.Typer(
    cls=_Verdicts,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=" ".join(EXIT_CODES.split()),
)


def _say_version(wanted: bool) -> None:  # noqa: FBT001  # as Typer calls it
    if wanted:
        typer.echo(metadata.version("paper-verdicts"))
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version.")
]


@app.callback()
def _all(
    version: VersionOption = False,  # noqa: FBT002
    server: GivenServerOption = None,
    key: GivenKeyOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Re-measure the numbers that papers report, and read the verdicts.

    --server, --key and --data-dir go before the command or after it.
    """
    del version, server, key, data_dir  # typer's context has them, and hands them on (app.cli.lazy)
