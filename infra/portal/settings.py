"""What a portal process is told from outside: one typed class, read from `PORTAL_*` in the environment."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class PortalSettings(BaseSettings):
    """Settings of all five processes; each uses the ones that concern it."""

    model_config = SettingsConfigDict(env_prefix="PORTAL_", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int | None = Field(None, ge=1, le=65535, description="port to listen on; unset = the platform's own")
    admin_from: Literal["loopback", "private"] = Field(
        "loopback", description="who may call /admin: this machine, or private networks too (in a container)"
    )
    environment: str = Field("local", description="label `environment` on every metric")
    start_timeout_s: float = Field(60, gt=0, description="how long to wait for the stores at start")

    dialect: Literal["reference", "portal-universe"] = Field(
        "reference",
        description="portal-universe: users and shop in PostgreSQL, no cache (docs/portal-universe.md)",
    )
    histogram: bool = Field(True, description="requests have buckets; off, as in the platform's profile `local`")
    seller_service: bool = Field(False, description="portal-universe: orders find a seller service, else 500 S901")
    postgres_host: str = Field("127.0.0.1", description="portal-universe: PostgreSQL host")
    postgres_port: int = Field(5432, ge=1, le=65535, description="PostgreSQL port")
    postgres_user: str = Field("portal", description="PostgreSQL user; may create databases")
    postgres_password: SecretStr = Field(SecretStr(""), description="its password")

    mysql_host: str = Field("127.0.0.1", description="MySQL host")
    mysql_port: int = Field(3306, ge=1, le=65535, description="MySQL port")
    mysql_user: str = Field("portal", description="MySQL user; may create databases")
    mysql_password: SecretStr = Field(SecretStr(""), description="its password")
    pool_size: int = Field(10, ge=1, le=200, description="connections in the pool of each service")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis")
    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers")
    elasticsearch_url: str = Field("http://127.0.0.1:9200", description="Elasticsearch")

    zipkin_url: str = Field("", description="Zipkin; empty = no tracing")
    trace_sampling: float = Field(0.05, ge=0, le=1, description="share traced when the client is silent")

    auth_url: str = Field("http://127.0.0.1:8081", description="auth service, for the gateway")
    blog_url: str = Field("http://127.0.0.1:8082", description="blog service, for the gateway")
    shopping_url: str = Field("http://127.0.0.1:8083", description="shopping service, for the gateway")
    notification_url: str = Field("http://127.0.0.1:8084", description="notification service, for the gateway")

    jwt_secret: SecretStr = Field(
        SecretStr("reference-portal-development-key-0123456789"),
        description="HS256 key, shared by gateway and auth",
    )
    bcrypt_cost: int = Field(4, ge=4, le=15, description="bcrypt cost; at 4 600 users log in on 2 cores")
    rate_limit: bool = Field(False, description="the gateway's limiter is on from the start")
    design_routes: bool = Field(True, description="the gateway serves the design document's routes as well")
    product_cache_ttl_s: float = Field(10, gt=0, description="lifetime of a cached product")

    @property
    def plays_the_platform(self) -> bool:
        return self.dialect == "portal-universe"
