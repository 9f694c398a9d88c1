"""What the platform counts, for Prometheus. No label ever holds what a client has sent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The figures of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mula_requests", "Requests by route and status.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "mula_request_seconds",
            "How long requests took, by route.",
            ["route"],
            # around the 500 ms that 95 of 100 must stay below
            buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0),
            registry=self.registry,
        )
        self.sign_ins = Counter(
            "mula_sign_ins",
            "Attempts to sign in, by way (password, or the application of an old token) and result.",
            ["way", "result"],
            registry=self.registry,
        )
        self.proofs = Counter(
            "mula_proofs", "Accounts proved or contested from within a session.", ["by"], registry=self.registry
        )
        self.mails = Counter("mula_mails", "Mails with a link, by result.", ["result"], registry=self.registry)
        self.stripe_events = Counter(
            "mula_stripe_events",
            "Events of Stripe, by the application whose account signed them, and what has become of them.",
            ["source", "result"],
            registry=self.registry,
        )
        self.connections = Gauge(
            "mula_database_connections", "Connections of the pool, by state.", ["state"], registry=self.registry
        )
