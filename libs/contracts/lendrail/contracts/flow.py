"""docs/flow.md: the registry as a table, and the same read from each service's side."""

from __future__ import annotations

from collections.abc import Iterator

from lendrail.contracts.topics import DAY, DEAD_LETTER_RETENTION_HOURS, FAMILIES, OUTCOMES, TOPICS, TopicTemplate

HEAD = """# Who says what to whom

Generated from the registry, `lendrail.contracts.topics`, by `python -m lendrail.contracts`; do not edit.
"""


def flow() -> str:
    return "\n".join([HEAD, *_topics(), "", *_services(), "", _dead_letters(), ""])


def _topics() -> Iterator[str]:
    yield "| topic | says | key | from | to | partitions | kept |"
    yield "|---|---|---|---|---|---|---|"
    yield from map(_template, FAMILIES)
    for topic in TOPICS:
        kept = f"{topic.retention_hours // DAY} days"
        sides = f"{', '.join(topic.producers)} | {', '.join(topic.consumers)}"
        yield f"| `{topic.name}` | {topic.says} | {topic.keyed_by} | {sides} | {topic.partitions} | {kept} |"
    yield _template(OUTCOMES)


def _template(family: TopicTemplate) -> str:
    kept = f"{family.retention_hours // DAY} days"
    sides = f"{', '.join(family.producers) or family.whose} | {', '.join(family.consumers) or family.whose}"
    return f"| `{family.placeholder}` | {family.says} | {family.keyed_by} | {sides} | {family.partitions} | {kept} |"


def _services() -> Iterator[str]:
    yield "| service | hears | says |"
    yield "|---|---|---|"
    for service in dict.fromkeys(s for topic in TOPICS for s in (*topic.producers, *topic.consumers)):
        hears = [family.placeholder for family in FAMILIES if service in family.consumers]
        hears += [topic.name for topic in TOPICS if service in topic.consumers]
        says = [topic.name for topic in TOPICS if service in topic.producers]
        says += [OUTCOMES.placeholder] if service in OUTCOMES.producers else []
        yield f"| {service} | {_listed(hears)} | {_listed(says)} |"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def _dead_letters() -> str:
    days = DEAD_LETTER_RETENTION_HOURS // DAY
    return (
        f"What a service cannot read goes to `<topic>-dlq` with the reason, sealed, and is kept for {days} days.\n"
        "A consumer group is `<service>.<topic>`; all topics of a family have one together, such as `gateway.intake`."
    )
