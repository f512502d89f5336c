"""The operator's own configuration: read once at the edge, from a YAML file and the environment.

Reads: a file named by `--config` and variables `CHARON_*` (which win). Gives: `Settings`, or a
ConfigurationError in one line. Never: anything a ChargedApp could set; tenants, addresses and
credentials belong to the administrator.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from charon_operator.errors import ConfigurationError

# Mimir allows more; `|` would mean several tenants at once and is refused on purpose.
TENANT = r"^[A-Za-z0-9_.-]{1,150}$"
Tenant = Annotated[str, Field(pattern=TENANT)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scope(_Part):
    """Where the apps of some namespaces may look.

    Attributes:
        namespaces: shell patterns; the first scope that matches an app's namespace counts.
        tenant: value of X-Scope-OrgID.
        matchers: label matchers put into every selector; `$namespace` is the app's namespace.
        exceptions: metric-name patterns with matchers of their own, for exporters that live
            elsewhere, `exported_namespace`, or recording rules without a namespace.
    """

    class Exemption(_Part):
        """Other matchers for some metrics."""

        metrics: list[str] = Field(min_length=1)
        matchers: list[str] = Field(default_factory=list)

    namespaces: list[str] = Field(default_factory=lambda: ["*"], min_length=1)
    tenant: Tenant = "anonymous"
    matchers: list[str] = Field(default_factory=lambda: ['namespace="$namespace"'])
    exceptions: list[Exemption] = Field(default_factory=list)


class Mimir(_Part):
    """How the metric store is reached. Files are read again when they change."""

    url: str = "http://127.0.0.1:8080/prometheus"
    bearer_token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    max_body_bytes: int = Field(default=4 * 2**20, ge=1024)
    max_terms_per_request: int = Field(default=50, ge=1, le=100)
    concurrency: int = Field(default=8, ge=1, le=64)
    scopes: list[Scope] = Field(default_factory=lambda: [Scope()], min_length=1)

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        message = "must be http(s)://host[:port][/path], without user, query or fragment"
        if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", url):
            raise ValueError(message)
        try:
            HttpUrl(url)
        except ValidationError as error:
            raise ValueError(f"{message}: {error.errors()[0]['msg']}") from None
        return url.rstrip("/")

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file go together")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        if self.username is not None and self.bearer_token_file is not None:
            raise ValueError("choose either basic authentication or a bearer token")
        return self


class Lease(_Part):
    """Leader election. The deadline before a write is the renew deadline, on a monotonic clock."""

    enabled: bool = True
    namespace: str = "charon-system"
    name: str = "charon-operator"
    duration_seconds: float = Field(default=15, ge=1)
    renew_deadline_seconds: float = Field(default=10, gt=0)
    retry_seconds: float = Field(default=2, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.retry_seconds < self.renew_deadline_seconds < self.duration_seconds:
            raise ValueError("retry_seconds < renew_deadline_seconds < duration_seconds is needed")
        return self


class Safety(_Part):
    """Bounds that no ChargedApp can widen.

    Attributes:
        resize_gpu_pods: resize pods with GPUs too; only where containers get them by CDI, as a
            resize can take away a GPU that the older runtime hook gave.
        max_priority: what `placement.priority` of an app counts at most.
        max_priority_of: the same by namespace, where it is another one.
    """

    max_replicas: int = Field(default=1000, ge=1)
    denied_namespaces: list[str] = Field(
        default_factory=lambda: ["kube-system", "kube-public", "kube-node-lease"]
    )
    own_deployment: str = "charon-system/charon-operator"
    blind_fleet_apps: int = Field(default=10, ge=1)
    blind_fleet_namespaces: int = Field(default=2, ge=1)
    reverts_before_yielding: int = Field(default=2, ge=1)
    revert_window_seconds: float = Field(default=600, gt=0)
    quiet_seconds: float = Field(default=1800, gt=0)
    conflict_retries: int = Field(default=3, ge=0, le=10)
    write_concurrency: int = Field(default=16, ge=1, le=64)
    resize_gpu_pods: bool = False
    max_priority: int = Field(default=100, ge=1)
    max_priority_of: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)


class Placement(_Part):
    """What placing GPU variants needs to know: all nodes, and the pods on them.

    Attributes:
        templates: variants that share a Deployment are changed between by its pod template.
    """

    enabled: bool = False
    templates: bool = False

    @model_validator(mode="after")
    def _places_what_it_changes(self) -> Self:
        if self.templates and not self.enabled:
            raise ValueError("templates needs enabled: variants are not placed at all without it")
        return self


class JournalFile(_Part):
    """Where decisions are kept. Without a path they are kept nowhere."""

    path: Path | None = None
    max_bytes: int = Field(default=64 * 2**20, ge=2**16)
    backups: int = Field(default=3, ge=0, le=100)


class Health(_Part):
    """The health, readiness and metrics server."""

    host: str = "0.0.0.0"
    port: int = Field(default=8080, ge=0, le=65535)
    heartbeat_timeout_seconds: float = Field(default=60, gt=0)


class Settings(BaseSettings):
    """All of it. Environment: CHARON_MIMIR__URL=https://mimir/prometheus, and so on."""

    model_config = SettingsConfigDict(
        env_prefix="CHARON_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    mimir: Mimir = Field(default_factory=Mimir)
    lease: Lease = Field(default_factory=Lease)
    safety: Safety = Field(default_factory=Safety)
    placement: Placement = Field(default_factory=Placement)
    journal: JournalFile = Field(default_factory=JournalFile)
    health: Health = Field(default_factory=Health)
    watch_namespaces: list[str] = Field(default_factory=list)
    force_mode: Literal["Advisory"] | None = None
    attainment_period_seconds: float = Field(default=60, gt=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose content arrives as init arguments."""
        return env_settings, init_settings


def load(file: Path | None) -> Settings:
    """Read the configuration.

    Args:
        file: YAML file, or None for defaults and environment alone.

    Raises:
        ConfigurationError: one line that names the setting and the remedy.
    """
    content = _read_yaml(file) if file else {}
    try:
        return Settings(**content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(step) for step in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        where = f"{file}: " if file else ""
        raise ConfigurationError(f"{where}{path}: {message}") from None
    except SettingsError as error:
        # A list or a group of settings given as one variable has to be JSON.
        raise ConfigurationError(f"environment: {str(error).splitlines()[0]}") from None


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: is not YAML: {str(error).splitlines()[0]}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file}: must hold settings by name, such as `mimir: {{url: …}}`")
    return content


__all__ = [
    "Health",
    "JournalFile",
    "Lease",
    "Mimir",
    "Placement",
    "Safety",
    "Scope",
    "Settings",
    "load",
]
