"""Idle limits of boxes on the path, by their length: the constants that name who cut an idle connection.

One row per length, because a length is all that is seen; several makers may share one. Such a limit counts
bytes in both directions, is the same for all clients, and does not grow with Keep Alive. This file may not
know a connection.
Read next: `rules/neighbours.py`, which holds endings against it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A box ends a connection so much (s) before or after its limit: timers that look once a second, and the path.
EARLY_S = 0.5
LATE_S = 1.0


@dataclass(frozen=True, slots=True)
class IdleLimit:
    """A default idle limit. `forgets`: the flow is dropped untold, and the next packet is answered with RST."""

    seconds: int
    who: str
    source: str
    forgets: bool = False

    @property
    def root(self) -> str:
        """Its name as the root of idle_cut."""
        return f"limit_{self.seconds}s"


#: The root of idle_cut where the limit is none of these, but the operator's own word for the path.
TOLD_LIMIT = "path_limit"

IDLE_LIMITS = (
    IdleLimit(50, "HAProxy's widely copied sample configuration", "lelylan/haproxy-mqtt pull request 5"),
    IdleLimit(
        60, "AWS Classic ELB and ALB, nginx as an HTTP proxy", "AWS CLB guide; nginx.org websocket page"
    ),
    IdleLimit(150, "seen at a mobile operator", "field report"),
    IdleLimit(180, "Traefik", "traefik/traefik issue 8668"),
    IdleLimit(
        240, "Azure Load Balancer and its NAT rules", "learn.microsoft.com: load-balancer-tcp-reset", True
    ),
    IdleLimit(270, "Cloudflare's gateway for TCP", "cloudflare-docs pull request 3405"),
    IdleLimit(
        300, "Oracle Cloud load balancer, some mobile operators", "OCI timeouts; nrfconnect/sdk-nrf#3400"
    ),
    IdleLimit(350, "AWS NLB, gateway balancer and network firewall", "AWS NLB guide; API_FlowTimeouts", True),
    IdleLimit(600, "nginx stream, GCP VPC connection tracking", "nginx proxy_timeout; Compute docs", True),
    IdleLimit(900, "IPVS: kube-proxy, Swarm", "moby and Kubernetes field reports", True),
    IdleLimit(1200, "GCP Cloud NAT", "Cloud NAT documentation", True),
    IdleLimit(1800, "NAPT of ESP repeaters", "field report", True),
    IdleLimit(3600, "Envoy TCP proxy", "Envoy documentation"),
    IdleLimit(432_000, "Linux and EC2 connection tracking", "EC2 user guide", True),
)


def matching_limit(idle_s: float) -> IdleLimit | None:
    """The limit at which a connection that was idle both ways for so long (s) may have been cut."""
    for row in IDLE_LIMITS:
        if row.seconds - EARLY_S <= idle_s <= row.seconds + LATE_S:
            return row
    return None


def outlived_limit(gap_s: float) -> IdleLimit | None:
    """The longest limit of a box that forgets untold which a gap (s) outlived; the next packet finds no flow."""
    return max(
        (row for row in IDLE_LIMITS if row.forgets and row.seconds < gap_s),
        key=lambda row: row.seconds,
        default=None,
    )
