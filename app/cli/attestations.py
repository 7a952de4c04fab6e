"""`verdicts signing-key`: the key that attestations are signed with. `verdicts verify`: check one, offline."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from app.cli.failures import DIGEST_MISMATCH, RECOMPUTATION_DIFFERS, REFUSED, SIGNATURE_WRONG, UNREACHABLE, CommandError
from app.cli.lazy import Passing
from app.cli.numbers import shown
from app.cli.options import JsonOption
from app.cli.plain import plain
from app.cli.show import console, recount_of, status_text
from app.exports.signing import SignatureError, SigningKeyError, create_key, read_public_key
from app.exports.verify import AttestationError, DigestMismatchError, RecomputationError, Verified
from app.exports.verify import verify as check
from app.statistics.written import Notation, confidence

signing_key: Final = typer.Typer(
    cls=Passing, no_args_is_help=True, help="Make the key that attestations are signed with."
)
_CODES: Final = {
    SignatureError: SIGNATURE_WRONG,
    DigestMismatchError: DIGEST_MISMATCH,
    RecomputationError: RECOMPUTATION_DIFFERS,
    AttestationError: REFUSED,
    SigningKeyError: UNREACHABLE,
    OSError: UNREACHABLE,
}


@signing_key.callback()
def _group() -> None:
    """A group, although it has one command yet."""


@signing_key.command()
def create(file: Annotated[Path, typer.Argument(help="The file to write; there must be none of that name.")]) -> None:
    """Make an Ed25519 key. Its public part is written beside it, as FILE.pub."""
    try:
        key = create_key(file)
    except SigningKeyError as error:
        raise CommandError(str(error), UNREACHABLE) from error
    typer.echo(key.public_pem.decode(), nl=False)
    words = f"{file} is the private key: set VERDICTS_SIGNING_KEY_FILE to it, and start the service with that, as it "
    words += f"looks only then. {file}.pub is for whoever verifies."
    typer.echo(words, err=True)


def verify(
    file: Annotated[Path, typer.Argument(help="The attestation: a signed envelope, or a bare statement.")],
    public_key: Annotated[Path | None, typer.Option(help="The public key, in PEM, that has to have signed it.")] = None,
    unsigned: Annotated[bool, typer.Option(help="Check no signature, only what the evidence gives.")] = False,  # noqa: FBT002
    predictions: Annotated[
        Path | None, typer.Option(help="Default: predictions.jsonl beside the attestation, where it is about one.")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(help="Another file that has to be one of the attested: data, weights.")
    ] = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Check an attestation offline: signature, files, and the decision itself.

    Exits with 0 where all holds, 7 where the signature is wrong or missing, 8 where a file is another than the attested
    one, 9 where the evidence gives another status or confidence, 1 for what is no attestation of a verdict.
    """
    if (public_key is None) is not unsigned:
        message = "say whose signature it has to bear with --public-key, or that none is to be checked with --unsigned"
        raise typer.BadParameter(message)
    try:
        key = read_public_key(public_key) if public_key is not None else None
        found = check(file, key, predictions, also or ())
    except tuple(_CODES) as error:
        code = next(code for kind, code in _CODES.items() if isinstance(error, kind))
        words = f"{error.filename} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise CommandError(words, code) from error
    if as_json:
        typer.echo(json.dumps(_document(found), separators=(",", ":")))
    else:
        _show(found)


def _document(found: Verified) -> dict[str, object]:
    predicate = found.predicate
    return {
        "verdict": str(predicate.verdict.id),
        "status": predicate.verdict.status,
        "confidence": predicate.verdict.confidence,
        "signed_by": found.signed_by,
        "files": found.files,
        "recounted": found.recounted,
    }


def _show(found: Verified) -> None:
    predicate = found.predicate
    claim = predicate.claim
    signature = f"good, of key {found.signed_by}" if found.signed_by else "not checked"
    counted = "counted anew from the predictions" if found.recounted else "as the attestation states them"
    sure = confidence(predicate.verdict.confidence)
    notation = Notation(claim.unit, len(claim.reported_value.partition(".")[2]))
    head = Text.assemble(status_text(predicate.verdict.status), f"  confidence {sure}")
    console.print(head, *recount_of(predicate.protocol_axes.model if predicate.protocol_axes else None), sep="\n")
    for line in (
        f"claim      {claim.row}, {claim.column}, of {predicate.paper.arxiv_id}",
        f"reported   {shown(notation.printed(claim.reported_value))}",
        f"measured   {shown(notation.share(predicate.decision.estimate))}",
        f"signature  {signature}",
        f"files      {', '.join(found.files) or 'none compared'}",
        f"counts     {predicate.measurement.correct} of {predicate.measurement.n}, {counted}",
        f"decision   the same once more, by version {predicate.decision.rule_version} of the rule",
        f"verdict    {predicate.verdict.id}",
    ):
        console.print(Text(plain(line)), soft_wrap=True)
