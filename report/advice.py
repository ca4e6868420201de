"""What to do about a check that did not pass: where to look first, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

ADVICE: Mapping[str, str] = {
    "doctor": "Correct what is named, in the profile or in the platform, before any load.",
    "exporter-metrics": "Read the exporter's log; most often it may not log in, or it looks at another address.",
    "prometheus-targets": "Open Prometheus' page of targets: each one that is down says why.",
    "zipkin-es-index": "Read Zipkin's log; where a span arrives and is not found again, Elasticsearch refuses it.",
    "seed-readback": "Seed the target again; nothing below this check means anything without its data.",
    "k6-run": "Read the script's k6.log in its folder; where only the series are missing, look at Prometheus.",
    "scenario-a-thresholds": "Compare latency with service time at the same moment: what lies between is waiting.",
    "scenario-b-thresholds": "Compare latency with service time at the same moment: what lies between is waiting.",
    "scenario-c-thresholds": "A burst queues: look at pool waits and at the coupon's row lock before the processor.",
    "scenario-d-thresholds": "Look at the search service and Elasticsearch: slow queries, its processor, its heap.",
    "scenario-e-thresholds": "Look at how often the origin was loaded: one expired key must cost one load.",
    "generator-valid": "Give k6 processors of its own or lower the load; until then its figures are no one's fault.",
    "ledger-coupons": "Look for a check and an act on the coupon's stock that are two steps and not one.",
    "ledger-orders": "Follow one missing order by its number through the service's log, the topic and the consumer.",
    "traces-complete": "Look for the service whose span is missing: it drops the trace headers or its spans.",
    "cache-single-flight": "Let one request load the expired key while the others wait for it or take the old value.",
    "k6-panels": "Look at what each empty panel says is missing.",
    "panels-data": "Look at what each empty panel says is missing.",
    "dashboards-provisioned": "Look at Grafana's answer in the evidence; most often rights or the data source.",
    "dashboard-live": "A line that does not move under load reads another instance than the one under load.",
    "kafka-bot-rate": "Look at the broker's latency and at the bot's processor: one of both could not keep up.",
    "kafka-bot-accounting": "Look at the broker's log around the first lost message; acks and retries decide here.",
    "kafka-lag-drains": "Look at the consumer: slower than its topic, or stopped; its log and its processor tell.",
    "soak-trends": "Find what is kept and never given back: compare its growth with the requests and with a heap dump.",
    "stack-alive": "Read the dead service's log from its end, and the machine's memory at that moment.",
    "teardown-clean": "End what is named by hand, then `make stack-reset`.",
}
"""By check id; a check that passed needs none."""


def advice_for(check_id: str) -> str:
    """Where to look first; "" for a check that is not known."""
    return ADVICE.get(check_id, "")
