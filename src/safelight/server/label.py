"""The privacy label: made from this server's live settings, not from anybody's intentions."""

from __future__ import annotations

from safelight.desk.fleet import FleetStatus
from safelight.server.shapes import Out
from safelight.settings import Settings


class LabelLine(Out):
    """One line of the label: what is meant, what holds here, and whether it protects."""

    key: str
    title: str
    value: str
    protects: bool


def sentences(settings: Settings) -> list[str]:
    """The sentences of protocol section 8, with this operator's names filled in."""
    from safelight.policy.terms import SENTENCES

    names = (
        settings.operator or "a person who has not given a name",
        settings.law or "a law that is not stated",
        settings.hosted_in or "a place that is not stated",
    )
    filled = f"Operated by {names[0]}, under the law of {names[1]}, hosted in {names[2]}."
    return [filled if s.startswith("Operated by") else s for s in SENTENCES]


def label(settings: Settings, status: FleetStatus) -> list[LabelLine]:
    """Every line of the label."""
    secure = settings.is_loopback or settings.public_url.startswith("https:")
    lines = [
        ("prompts", "Prompts", "kept only inside what its owner alone opens", True),
        ("pictures", "Private pictures", "sealed to their owner; the operator cannot open", True),
        ("otr", "Off the record", "only the day's count of pictures and tokens is kept", True),
        ("keys", "Darkroom keys", f"announced for {settings.key_minutes} minutes, in memory", True),
        ("queue", "Waiting requests", f"at most {settings.not_after_minutes} minutes", True),
        ("erasure", "After a deletion", f"no key backup after {settings.erasure_days} days", True),
        ("sessions", "Sign-ins", f"end after {settings.session_days} days", True),
        ("log", "Log", "events, routes, sizes and times; no words, addresses or accounts", True),
        ("training", "Training", "this server trains nothing on what people make", True),
        ("others", "Other companies", "no request to another origin, no telemetry", True),
        ("check", "Content rules", "words and pixels of every job; no switch turns them off", True),
        ("line", "Connection", "this machine only" if settings.is_loopback else
         ("TLS" if secure else "plain HTTP: others on the network can read transit requests"),
         secure),
        ("guests", "Guests", "may make pictures off the record" if settings.guests_allowed
         else "may not make pictures", True),
    ]  # fmt: skip
    found = [LabelLine(key=k, title=t, value=v, protects=p) for k, t, v, p in lines]
    return found + _confinement(status)


_GUARDS = ("network", "disk_writes", "core_dumps", "ptrace")
"""Lines of a darkroom's report; each is ``refused`` where it holds (protocol section 6a)."""


def _confinement(status: FleetStatus) -> list[LabelLine]:
    """What the darkroom found out about itself by trying; nothing before it has said so."""
    report = status.confinement
    if not report:
        return []
    found = [(guard, str(report.get(guard, "unknown"))) for guard in _GUARDS]
    lines = [
        LabelLine(
            key=f"darkroom-{guard}",
            title=f"Darkroom: {guard.replace('_', ' ')}",
            value=value,
            protects=value == "refused",
        )
        for guard, value in found
    ]
    swap = str(report.get("swap", "unknown"))
    means = ", ".join(report.get("by", [])) or "nothing"
    lines.append(
        LabelLine(
            key="darkroom-swap",
            title="Swap",
            value={"none": "none", "present": "present: memory may reach the disk"}.get(swap, swap),
            protects=swap == "none",
        )
    )
    lines.append(
        LabelLine(
            key="darkroom-by",
            title="Darkroom: confined by",
            value=means,
            protects=bool(report.get("complete")),
        )
    )
    return lines
