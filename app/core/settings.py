"""Settings from the environment (prefix `VERDICTS_`), built once at the edge and handed in."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_ROOT = Path(__file__).resolve().parents[2]


class QueueSettings(BaseModel):
    """The life of a reproduction on the queue. Durations are in seconds."""

    lease_s: Annotated[float, Field(gt=0)] = 30.0
    heartbeat_s: Annotated[float, Field(gt=0)] = 0.5
    max_attempts: Annotated[int, Field(ge=1)] = 3
    backoff_s: Annotated[float, Field(ge=0)] = 2.0
    """Before the second attempt; twice as long before each one after it, up to `backoff_most_s`."""
    backoff_most_s: Annotated[float, Field(ge=0)] = 60.0
    ring_again_s: Annotated[float, Field(gt=0)] = 10.0
    sweep_s: Annotated[float, Field(gt=0)] = 2.0
    deadline_s: Annotated[float, Field(gt=0)] = 7 * 24 * 3600.0
    stall_s: Annotated[float, Field(gt=0)] = 900.0
    """A worker whose run shows no sign of life for so long ends itself: a supervisor starts another."""
    shutdown_s: Annotated[float, Field(ge=0)] = 10.0
    """A worker that is asked to stop finishes a run that takes no longer than this, and hands back any other."""


class LimitSettings(BaseModel):
    """What a request may cost."""

    body_bytes: Annotated[int, Field(gt=0)] = 1024 * 1024
    body_s: Annotated[float, Field(gt=0)] = 20.0
    """How long the service waits for a body, and `1 / body_bytes_per_s` longer for each byte that has come."""
    body_bytes_per_s: Annotated[float, Field(gt=0)] = 16 * 1024.0
    head_bytes: Annotated[int, Field(gt=0)] = 64 * 1024
    head_s: Annotated[float, Field(gt=0)] = 10.0
    """How long a client may take over the request line and the headers."""
    write_s: Annotated[float, Field(gt=0)] = 60.0
    """How long a client may leave a full buffer of its answer untaken."""
    connections: Annotated[int, Field(gt=0)] = 800
    """At once, of one process: with its files and its pool below the 1,024 descriptors that many systems allow."""


class ServingSettings(BaseModel):
    """The hot path: what is read most is answered from memory, and forgotten when Postgres tells of a change."""

    cache_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    lease_s: Annotated[float, Field(gt=0)] = 2.0
    """No answer from memory is older than this, even if nothing tells of changes any more."""
    listen_url: str | None = None
    """A direct connection, where `database_url` goes through a transaction pool, which cannot LISTEN."""
    raw_pool: Annotated[int, Field(ge=1)] = 4
    most_waiting: Annotated[int, Field(ge=0)] = 1000
    """Requests with `Prefer: wait` at a time; more are answered at once."""


class EventSettings(BaseModel):
    """The log of events and its streams. Durations are in seconds."""

    keep_days: Annotated[float, Field(gt=0)] = 30.0
    """How long an event can be asked for again."""
    streams: Annotated[int, Field(ge=0)] = 600
    """At once, of one process; below `limits.connections`, so that there is room for everybody else."""
    streams_of_address: Annotated[int, Field(ge=1)] = 50
    heartbeat_s: Annotated[float, Field(gt=0)] = 15.0
    """A stream that says nothing else says at least this often that it is there."""
    longest_s: Annotated[float, Field(gt=0)] = 3600.0
    """After this a stream ends, and its client comes again: with a key that is still valid, to any process."""
    poll_s: Annotated[float, Field(gt=0)] = 0.5
    """How often running runs are looked at, and the log, should the message about it get lost."""
    retry_ms: Annotated[int, Field(ge=0)] = 2000
    """How long a client is asked to wait before it comes again."""


class WebhookSettings(BaseModel):
    """How events are brought to webhooks. Durations are in seconds."""

    retries_s: tuple[Annotated[float, Field(ge=0)], ...] = (
        *(5.0, 300.0, 1800.0, 7200.0, 18000.0),
        *(36000.0, 50400.0, 72000.0, 86400.0),
    )
    """How long after each failed attempt the next one comes; a tenth more or less, so that not all come together."""
    timeout_s: Annotated[float, Field(gt=0)] = 15.0
    """For an attempt as a whole."""
    lease_s: Annotated[float, Field(gt=0)] = 45.0
    """So long a process may be at a receiver before another one takes over; longer than `timeout_s`."""
    poll_s: Annotated[float, Field(gt=0)] = 1.0
    at_once: Annotated[int, Field(ge=1)] = 16
    """Receivers that a process is at."""
    disable_after_days: Annotated[float, Field(gt=0)] = 5.0
    """A receiver that has failed for so long is told nothing more, until its owner enables it again."""
    previous_secret_hours: Annotated[float, Field(gt=0)] = 24.0
    most_of_owner: Annotated[int, Field(ge=1)] = 20
    allow_http: bool = False
    allow_private: bool = False
    """For a service and receivers in a network of one's own: whoever has a key can have requests sent into it."""
    ca_file: Path | None = None
    """Authorities (PEM) that receivers' certificates may be signed by, beside the public ones."""


class AccessSettings(BaseModel):
    """Who may do what, and how often."""

    reads: Literal["public", "keys"] = "public"
    """Whether reading takes a key, too."""
    trusted_proxies: str = ""
    """Networks whose X-Forwarded-For is believed, with commas between them."""
    key_cache_s: Annotated[float, Field(ge=0, le=2)] = 1.0
    """So long a process goes on with a key that it knows: at most so late it hears of a revocation."""
    requests_per_minute: Annotated[int, Field(ge=0)] = 60_000
    """Of an address, in each process, whatever they are; 0 is no limit."""
    writes_per_minute: Annotated[int, Field(ge=1)] = 600
    """Of a key."""
    writes_per_minute_address: Annotated[int, Field(ge=1)] = 1200
    """Of an address, whatever its keys."""
    quota_runs: Annotated[int, Field(ge=1)] = 100
    """Runs of a key that wait or run at once."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        for part in text.split(","):
            if part.strip():
                ip_network(part.strip())
        return text

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The trusted proxies, parsed."""
        return tuple(ip_network(part.strip()) for part in self.trusted_proxies.split(",") if part.strip())


class ArxivSettings(BaseModel):
    """Where paper metadata is fetched from. Only this host is ever contacted."""

    host: str = "export.arxiv.org"
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    max_bytes: Annotated[int, Field(gt=0)] = 512 * 1024


class ExportSettings(BaseModel):
    """What others take with them."""

    license_url: Annotated[str, Field(pattern=r"^https?://[^\s<>\"]+$")] | None = None
    """Of the verdicts, as the operator gives them away; exports say that there is none stated where it is not set."""
    most_streams: Annotated[int, Field(ge=1)] = 2
    """Downloads of the whole data set at once, of one process. Each holds a connection and a snapshot."""
    stream_idle_s: Annotated[float, Field(gt=0)] = 120.0
    """How long a download's transaction may wait for its client between two pieces."""


class Settings(BaseSettings):
    """Everything that can be set from outside, e.g. `VERDICTS_DATABASE_URL`, `VERDICTS_QUEUE__LEASE_S`."""

    model_config = SettingsConfigDict(env_prefix="VERDICTS_", env_nested_delimiter="__", extra="ignore")

    database_url: str | None = None
    redis_url: str | None = None
    data_dir: Path = Path.home() / ".local" / "share" / "paper-verdicts"
    catalogue_dir: Path = _ROOT / "workers" / "catalogue"
    device: str = "auto"
    log_level: str = "INFO"
    database_pool: Annotated[int, Field(ge=1)] = 10
    database_idle_s: Annotated[float, Field(gt=0)] = 30.0
    """A transaction in which its process does nothing for so many seconds is ended by the database."""
    queue: QueueSettings = QueueSettings()
    limits: LimitSettings = LimitSettings()
    access: AccessSettings = AccessSettings()
    arxiv: ArxivSettings = ArxivSettings()
    serving: ServingSettings = ServingSettings()
    events: EventSettings = EventSettings()
    webhooks: WebhookSettings = WebhookSettings()
    exports: ExportSettings = ExportSettings()
    public_url: Annotated[str, Field(pattern=r"^https?://[^\s<>\"?#]+[^\s<>\"?#/]$")] | None = None
    """Where readers reach the service, without a slash at the end: exports name it. Never taken from a Host header."""
    signing_key_file: Path | None = None
    """An Ed25519 private key in PEM, made with `verdicts signing-key create`; without it attestations are unsigned."""

    @property
    def cache_dir(self) -> Path:
        """Where downloads from the hub are kept."""
        return self.data_dir / "cache"
