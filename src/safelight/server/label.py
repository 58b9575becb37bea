"""The privacy label: made from this server's live settings, not from anybody's intentions."""

from __future__ import annotations

from safelight.desk.fleet import FleetStatus
from safelight.policy.terms import SENTENCES, operated_by
from safelight.server.shapes import Out
from safelight.settings import Settings


class LabelLine(Out):
    """One line of the label: what is meant, what holds here, and whether it protects."""

    key: str
    title: str
    value: str
    protects: bool


def sentences(settings: Settings) -> list[str]:
    """The sentences of protocol section 8; the last names this operator."""
    return [*SENTENCES, operated_by(settings.operator, settings.law, settings.hosted_in)]


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


_GUARDS = {
    "network": "no network",
    "disk_writes": "no writable disk",
    "core_dumps": "no core dumps",
    "ptrace": "no debugger",
}
"""Lines of a darkroom's report; each is ``refused`` where it holds (protocol section 6a)."""


def _confinement(status: FleetStatus) -> list[LabelLine]:
    """What holds the darkroom in on this machine; nothing while it has not said so yet."""
    report, found = status.confinement, []
    for guard, title in _GUARDS.items():
        if guard in report:
            held = report[guard] == "refused"
            value = f"{title}: the kernel refuses" if held else f"{title}: not held on this machine"
            found.append(_line(guard, value, protects=held))
    if (swap := report.get("swap")) is not None:
        words = {"none": "no swap", "present": "swap is on: memory may reach the disk"}
        text = words.get(str(swap), "whether memory may be swapped is not known")
        found.append(_line("swap", text, protects=swap == "none"))
    return found


def _line(key: str, value: str, *, protects: bool) -> LabelLine:
    return LabelLine(key=f"darkroom-{key}", title="Darkroom", value=value, protects=protects)
