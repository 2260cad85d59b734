"""Settings, read from the environment here and nowhere else."""

from ipaddress import ip_network
from pathlib import Path

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from grpo.rewards.service.access import private_addresses
from store.origin import is_origin

ALL_GPUS, NO_GPUS = "all", "none"


class DatabaseSettings(BaseSettings):
    """Settings of the database, all that `python -m store` needs."""

    model_config = SettingsConfigDict(frozen=True, env_prefix="DUET_", populate_by_name=True)

    database_url: str = Field(
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host:port/name; libpq's other parameters and "
        "lists of hosts are supported.",
    )
    database_direct_url: str = Field(
        default="",
        validation_alias="DATABASE_DIRECT_URL",
        description="Address of Postgres itself, for LISTEN and migrations; needed where "
        "DATABASE_URL leads to a pooler in transaction mode.",
    )
    secrets_key: str = Field(
        default="",
        repr=False,
        description="Key that encrypts the projects' secrets in the database: 32 random bytes in "
        "URL-safe base64. Several are separated by commas; the first encrypts, each "
        "decrypts. Empty: no secrets can be stored.",
    )

    @property
    def secrets_keys(self) -> tuple[str, ...]:
        return _listed(self.secrets_key)


class Settings(DatabaseSettings):
    """Settings of a process, created once at its start and passed in.

    Addresses have their usual names (DATABASE_URL, ...); all other names begin with DUET_.
    """

    redis_url: str = Field(validation_alias="REDIS_URL")
    artifacts_url: str = Field(
        validation_alias="ARTIFACTS_URL",
        description="Where checkpoints and files are stored: file:///folder, or "
        "s3://bucket/prefix with endpoint and credentials in the AWS_... "
        "variables.",
    )
    runs_dir: Path = Field(
        default=Path("runs"), validation_alias="RUNS_DIR", description="A worker's run directories."
    )

    artifact_retry_seconds: float = Field(
        default=120,
        ge=0,
        description="How long a worker retries a request to an S3 store that does not answer.",
    )
    redirect_downloads: bool = Field(
        default=True,
        description="Whether the API redirects downloads to the S3 store by a signed URL. "
        "Turn it off where clients cannot reach the store: the API then streams "
        "them itself.",
    )

    lease_seconds: float = Field(
        default=60, gt=0, description="Length of an attempt's lease, its right to run."
    )
    reaper_seconds: float = Field(
        default=10,
        gt=0,
        validation_alias=AliasChoices("DUET_REAPER_SECONDS", "DUET_SWEEP_SECONDS"),
        description="Interval between runs of the reaper, which ends attempts whose lease is over.",
    )
    poll_seconds: float = Field(
        default=15, gt=0, description="Interval between a worker's polls of the queue."
    )
    sync_seconds: float = Field(
        default=1, gt=0, description="Interval between shipments of records."
    )
    stall_seconds: float = Field(
        default=1800,
        gt=0,
        description="Time without progress after which a trainer is ended, if twenty usual "
        "steps have passed as well.",
    )
    retry_seconds: float = Field(
        default=10,
        ge=0,
        description="A job's wait after a first failure; each further one in a row triples "
        "it, up to ten minutes.",
    )
    grace_seconds: float = Field(
        default=60,
        gt=0,
        description="Least time from SIGTERM to SIGKILL; a trainer gets three times its last step "
        "and its last save, where that is longer.",
    )
    outage_seconds: float = Field(
        default=30,
        gt=0,
        description="A longer interval between runs of the reaper counts as an outage.",
    )
    stray_grace_seconds: float = Field(
        default=3600,
        gt=0,
        description="Age at which files without a row are removed from the artifact store.",
    )
    runs_keep_days: float = Field(
        default=7,
        ge=0,
        description="How long a worker keeps the run directories of ended attempts.",
    )
    samples_keep_days: float = Field(
        default=30, ge=0, description="How long after a job's end its log keeps every sample."
    )
    samples_keep_steps: int = Field(
        default=200,
        gt=0,
        description="Number of evenly spread steps whose samples an older log keeps, besides "
        "those of the last step and of evaluations.",
    )
    requests_per_minute: int = Field(
        default=6000,
        gt=0,
        description="Rate limit of one key's requests to the API; not enforced without Redis.",
    )
    session_days: float = Field(
        default=7, gt=0, description="How long a browser stays signed in to the web page."
    )
    trusted_proxies: str = Field(
        default="",
        description="Reverse proxies in front of the API whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are trusted: addresses or networks, separated by "
        "commas.",
    )
    allowed_origins: str = Field(
        default="",
        description="Origins of other web pages that may call the API from a browser with an API "
        "key, such as https://ml.example.com, separated by commas. Empty: none.",
    )
    audit_keep_days: float = Field(
        default=365, gt=0, description="How long audit records are kept."
    )
    max_upload_bytes: int = Field(
        default=2**30, gt=0, description="Maximum size of an uploaded file."
    )
    allow_hub: bool = Field(
        default=True, description="Whether models and data sets may come from the Hugging Face hub."
    )
    hub_organisations: str = Field(
        default="*",
        description="Allowed owners of models and data sets of the hub, separated by commas; "
        "*: all.",
    )
    allowed_datasets: str = Field(
        default="",
        description="Data sets of the hub that specs may name, separated by commas: "
        "owner/name, owner/* or *. Empty: all of DUET_HUB_ORGANISATIONS on a "
        "server with one project, none with several.",
    )
    local_roots: str = Field(
        default="",
        description="Folders below which specs may name models, separated by commas; empty: "
        "none. Servers started by `duet up` may read all that their user may, "
        "unless this is set.",
    )
    allow_python_rewards: bool = Field(
        default=False,
        description="Whether specs may contain Python code as a reward; workers run it in a "
        "sandbox.",
    )
    reward_hosts: str = Field(
        default="",
        description="Internal services that rewards may call, separated by commas: names, "
        "addresses or networks, each for all ports or with one, such as grader.internal:8080; *: "
        "all. Public addresses are always allowed. Servers started by `duet up` allow their own "
        "machine, unless this is set.",
    )
    webhooks_allow_private: bool = Field(
        default=False,
        description="Whether webhooks may lead to private addresses, such as this machine's own.",
    )
    max_webhooks: int = Field(
        default=20, ge=0, description="Maximum number of a project's webhooks."
    )
    webhooks_timeout_seconds: float = Field(
        default=15,
        gt=0,
        description="Time for a webhook's receiver to accept the connection and respond.",
    )
    otlp_endpoint: str = Field(
        default="",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OpenTelemetry collector that receives traces over OTLP/HTTP; empty: no "
        "traces. OpenTelemetry's other variables are supported.",
    )
    trainer_env: str = Field(
        default="",
        description="Variables of a worker's environment passed to trainers, separated by "
        "commas, such as HF_TOKEN; every project's jobs can then use them.",
    )
    worker_queues: str = Field(
        default="default", description="Queues that the worker serves, separated by commas."
    )
    worker_gpus: str = Field(
        default="",
        description="The worker's GPUs, separated by commas: indices as nvidia-smi counts them, or "
        "UUIDs; none: train on the CPU. Empty: those of CUDA_VISIBLE_DEVICES.",
    )
    cuda_visible_devices: str = Field(
        default="all",
        validation_alias="CUDA_VISIBLE_DEVICES",
        description="The GPUs that CUDA may use, in its own format: an empty value hides all of "
        "them. Unset: all that nvidia-smi lists.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, given: str) -> str:
        for part in _listed(given):
            try:
                ip_network(part)
            except ValueError as error:
                raise ValueError(
                    f"{part!r} is neither an address nor a network: {error}"
                ) from error
        return given

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, given: str) -> str:
        for part in _listed(given):
            if not is_origin(part):
                raise ValueError(
                    f"{part!r} is not an origin: write scheme, host and port as a browser sends "
                    "them, such as https://ml.example.com or http://localhost:3000"
                )
        return given

    @field_validator("reward_hosts")
    @classmethod
    def _are_hosts(cls, given: str) -> str:
        private_addresses(_listed(given))
        return given

    @property
    def private_reward_hosts(self) -> tuple[str, ...]:
        return _listed(self.reward_hosts)

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
    def origins(self) -> tuple[str, ...]:
        return _listed(self.allowed_origins)

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
    def gpus(self) -> tuple[str, ...] | None:
        """Names of the worker's GPUs as CUDA reads them: those after a negative number are hidden;
        None: all that the machine has."""
        named = self.worker_gpus.strip() or self.cuda_visible_devices
        if named == ALL_GPUS:
            return None
        names = () if named == NO_GPUS else _listed(named)
        hidden = [n for n, name in enumerate(names) if name.startswith("-")]
        return names[: hidden[0]] if hidden else names


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
