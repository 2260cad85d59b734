"""Settings, from the environment: the only place that reads it."""

from ipaddress import ip_network
from pathlib import Path

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """What the migrations need."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="DUET_", populate_by_name=True)

    database_url: str = Field(
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host:port/name; libpq's other parameters and lists "
        "of hosts hold as well.",
    )
    database_direct_url: str = Field(
        default="",
        validation_alias="DATABASE_DIRECT_URL",
        description="Where DATABASE_URL leads to a pooler in transaction mode: the address of "
        "Postgres itself, for LISTEN and migrations.",
    )


class Settings(DatabaseSettings):
    """Made once at each process's edge and passed in.

    The addresses are named as elsewhere (DATABASE_URL, ...), all else begins with DUET_.
    """

    redis_url: str = Field(validation_alias="REDIS_URL")
    artifacts_url: str = Field(
        validation_alias="ARTIFACTS_URL",
        description="Where checkpoints and files are kept: file:///folder or s3://bucket/prefix, "
        "for which the AWS_... variables say where the service is and who asks.",
    )
    runs_dir: Path = Field(
        default=Path("runs"), validation_alias="RUNS_DIR", description="A worker's run directories."
    )

    artifact_retry_seconds: float = Field(
        default=120,
        ge=0,
        description="How long a worker repeats a request to an S3 store that does not answer.",
    )
    redirect_downloads: bool = Field(
        default=True,
        description="Whether the API sends downloads on to the S3 store by a signed address. "
        "Where clients cannot reach the store, turn it off: the API then passes them through.",
    )

    lease_seconds: float = Field(default=60, gt=0, description="An attempt's right to run.")
    reaper_seconds: float = Field(
        default=10,
        gt=0,
        validation_alias=AliasChoices("DUET_REAPER_SECONDS", "DUET_SWEEP_SECONDS"),
        description="Interval between runs of the reaper, which ends attempts whose lease is over.",
    )
    poll_seconds: float = Field(default=15, gt=0, description="Between looks at the queue.")
    sync_seconds: float = Field(default=1, gt=0, description="Between shipments of records.")
    stall_seconds: float = Field(
        default=1800,
        gt=0,
        description="Without progress for so long, and for twenty usual steps, a trainer is ended.",
    )
    retry_seconds: float = Field(
        default=10,
        ge=0,
        description="What a job waits after a first failure; each one more in a row triples it, up "
        "to ten minutes.",
    )
    grace_seconds: float = Field(default=60, gt=0, description="From SIGTERM to SIGKILL.")
    outage_seconds: float = Field(
        default=30,
        gt=0,
        description="A longer interval between runs of the reaper counts as an outage.",
    )
    stray_grace_seconds: float = Field(
        default=3600,
        gt=0,
        description="Age from which what no row refers to is removed from the artifact store.",
    )
    runs_keep_days: float = Field(
        default=7,
        ge=0,
        description="How long a worker keeps the run directories of ended attempts.",
    )
    samples_keep_days: float = Field(
        default=30, ge=0, description="How long after its end a job's log keeps every sample."
    )
    samples_keep_steps: int = Field(
        default=200,
        gt=0,
        description="Of how many steps an older log keeps its samples, evenly spread; those of the "
        "last step and of evaluations come on top.",
    )
    requests_per_minute: int = Field(
        default=6000,
        gt=0,
        description="How many requests of one key the API answers in a minute; without Redis it "
        "answers all.",
    )
    session_days: float = Field(
        default=7, gt=0, description="How long a browser stays signed in to the web page."
    )
    trusted_proxies: str = Field(
        default="",
        description="Reverse proxies before the API, as addresses or networks by commas: their "
        "`X-Forwarded-For` and `X-Forwarded-Proto` are believed. None: nobody's are.",
    )
    audit_keep_days: float = Field(
        default=365, gt=0, description="How long it is kept who changed what."
    )
    max_upload_bytes: int = Field(default=2**30, gt=0, description="Largest file.")
    allow_hub: bool = Field(
        default=True, description="Whether models and data sets may come from Hugging Face's hub."
    )
    hub_organisations: str = Field(
        default="*", description="Whose models and data sets of the hub, by commas; *: everybody's."
    )
    allowed_datasets: str = Field(
        default="",
        description="Data sets of the hub that specs may name, by commas: owner/name, owner/* or "
        "*. Empty: all of DUET_HUB_ORGANISATIONS while there is one project, none once there are "
        "more.",
    )
    local_roots: str = Field(
        default="",
        description="Folders below which models may lie, by commas; none: no spec names a folder. "
        "What `duet up` starts may read all that its user may, unless this is set.",
    )
    allow_python_rewards: bool = Field(
        default=False,
        description="Whether specs may bring Python code as a reward; workers run it in a sandbox.",
    )
    webhooks_allow_private: bool = Field(
        default=False,
        description="Whether webhooks may lead to addresses that are not public, such as this "
        "machine's own.",
    )
    max_webhooks: int = Field(default=20, ge=0, description="Webhooks of one project.")
    webhooks_timeout_seconds: float = Field(
        default=15,
        gt=0,
        description="What a webhook's receiver has to take the connection and answer.",
    )
    otlp_endpoint: str = Field(
        default="",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="An OpenTelemetry collector, which is sent traces over OTLP/HTTP; none: none "
        "are sent. OpenTelemetry's other variables hold as well.",
    )
    trainer_env: str = Field(
        default="",
        description="Variables of a worker's environment that trainers get as well, by commas, "
        "such as HF_TOKEN; every project's jobs can then use them.",
    )
    worker_queues: str = Field(default="default", description="Served queues, by commas.")
    worker_gpus: str = Field(
        default="",
        validation_alias=AliasChoices("DUET_WORKER_GPUS", "CUDA_VISIBLE_DEVICES"),
        description="The worker's GPUs, by commas; none: a CPU machine.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, given: str) -> str:
        for part in _listed(given):
            try:
                ip_network(part)
            except ValueError as error:
                raise ValueError(f"{part!r} is no address and no network: {error}") from error
        return given

    @property
    def queues(self) -> tuple[str, ...]:
        return _listed(self.worker_queues)

    @property
    def organisations(self) -> tuple[str, ...]:
        return _listed(self.hub_organisations)

    @property
    def proxies(self) -> tuple[str, ...]:
        return _listed(self.trusted_proxies)

    @property
    def datasets(self) -> tuple[str, ...]:
        return _listed(self.allowed_datasets)

    @property
    def trainer_variables(self) -> tuple[str, ...]:
        return _listed(self.trainer_env)

    @property
    def roots(self) -> tuple[Path, ...]:
        return tuple(map(Path, _listed(self.local_roots)))

    @property
    def gpus(self) -> tuple[str, ...]:
        """Device names, in CUDA's own sense: what follows a negative number is hidden."""
        names = _listed(self.worker_gpus)
        hidden = [n for n, name in enumerate(names) if name.startswith("-")]
        return names[: hidden[0]] if hidden else names


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
