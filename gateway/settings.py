"""What can be set about the gateway."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mesh.settings import MeshSettings, Port

Seconds = Annotated[float, Meta(ge=1, le=300)]


class Settings(MeshSettings, frozen=True, kw_only=True):
    gateway_host: str = "127.0.0.1"
    gateway_port: Port = 8080
    gateway_metrics_port: Port = 9100
    # Where clients find it, as the API's reference says; empty: where they found the reference.
    public_base_url: Annotated[str, Meta(pattern="^(https?://[^\\s?#]+)?$")] = ""
    # gRPC targets; empty where this mesh has no such service, or where it is not the gateway's to reach.
    image_address: str = "unix:image.sock"
    video_address: str = "unix:video.sock"
    audio_address: str = "unix:audio.sock"
    fetcher_address: str = "unix:fetcher.sock"
    index_address: str = "unix:index.sock"
    # On: the pair endpoints ask for an API key too; /v1 always does.
    auth: bool = False
    # Off: no API key is taken, and /v1 is closed.
    native_keys: bool = True
    # Set: x-rapidapi-key is only taken with this x-rapidapi-host.
    rapidapi_host: str = ""
    # What a marketplace's proxy shows to be believed, two while one is exchanged; empty: nobody is.
    rapidapi_proxy_secrets: tuple[str, ...] = ()
    # Its subscriptions as plans of ours (BASIC=free,PRO=business); another one counts as free.
    rapidapi_plans: tuple[str, ...] = ()
    # On: / is a page to try the mesh on.
    playground: bool = True
    # On: /demo/{type}/match takes pairs without a key, so many in 24 hours from one address and from all together.
    demo: bool = False
    demo_address_per_day: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    demo_per_day: Annotated[int, Meta(ge=1, le=1_000_000)] = 2000
    # Networks (CIDR) whose X-Forwarded-For says who the client is.
    gateway_trusted_proxies: tuple[str, ...] = ()
    # A Redis that several gateways count on together; empty: each in its own memory.
    rate_limit_store: str = ""
    # Requests that one client address may make a second, and how many seconds' worth at once; 0: as many as it likes.
    rate_limit_address_per_second: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    rate_limit_address_burst_seconds: Annotated[int, Meta(ge=1, le=3600)] = 1
    # The documented clients wait 30 s.
    gateway_match_seconds: Seconds = 28.0
    # One source and many targets: the time for all of them, and how many are worked on at once.
    gateway_batch_seconds: Seconds = 120.0
    gateway_batch_concurrency: Annotated[int, Meta(ge=1, le=32)] = 4
    # A client that has not sent its headers, or its body, or not read its answer, by then is cut off.
    gateway_client_seconds: Seconds = 10.0
    # For one upload, or the bytes of one asset: then it ends, however much is left.
    gateway_upload_seconds: Seconds = 300.0
    gateway_max_connections: Annotated[int, Meta(ge=1)] = 4096
    # Off: the label `none` is given out as `low`, for clients that know three labels only.
    confidence_none: bool = True

    @property
    def guards_pairs(self) -> bool:
        """Whether the pair endpoints ask who it is."""
        return self.auth or bool(self.rapidapi_proxy_secrets)
