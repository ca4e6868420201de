"""Every query of both dashboards: one named method a query, selectors in one place, labels from the target profile.

What the design's queries get wrong is mended here (corrections.md 2, 11-13, 16, 20): k6's durations are native
histograms, a ratio is `(A or B * 0) / B`, a variable is matched with `=~`, a container has one `name`.
A query about a service prefers its container's series; without them (no control groups, containers without a name)
it takes what the process says of itself. The answer carries the service's name as the label `name` either way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from targets.model import Metrics

QUANTILES = (0.5, 0.95, 0.99)
HOST = 'id="/"'
"""The root control group: the only one with network series where services share the host's network."""
NAMELESS = ".*docker[-/]([0-9a-f]{12}).*"
"""`id` of a container that cAdvisor cannot name, as on macOS (platform.md 6)."""


@dataclass(frozen=True)
class Queries:
    """PromQL with the variables `$service`, `$run_id`, `$scenario` and `$interval` still in it."""

    metrics: Metrics

    # -- selectors ---------------------------------------------------------------------------------

    @property
    def _k6(self) -> str:
        return 'run_id=~"$run_id", scenario=~"$scenario"'

    @property
    def _app(self) -> str:
        return f'{self.metrics.service_label}=~"$service"'

    @property
    def _container(self) -> str:
        return f'{self.metrics.container_label}=~"$service"'

    @property
    def _requests(self) -> str:
        return f"{self._app}, uri!~{json.dumps(self.metrics.probe_uris)}"

    # -- k6 ----------------------------------------------------------------------------------------

    def k6_request_rate(self) -> str:
        """req/s that k6 sends."""
        return f"sum(rate(k6_http_reqs_total{{{self._k6}}}[$interval]))"

    def k6_error_ratio(self) -> str:
        """Share of k6's requests whose answer was not one of the expected ones, 0..1; 0 at zero errors."""
        errors = f'sum(rate(k6_http_reqs_total{{{self._k6}, expected_response="false"}}[$interval]))'
        return ratio(errors, self.k6_request_rate())

    def k6_virtual_users(self) -> str:
        """VUs by scenario, over all generators."""
        return f"sum by (scenario) (k6_vus{{{self._k6}}})"

    def k6_durations(self) -> str:
        """The native histogram of answer times, per second."""
        return f'sum(rate(k6_http_req_duration_seconds{{{self._k6}, status!="429"}}[$__rate_interval]))'

    def k6_latency_by_endpoint(self, quantile: float) -> str:
        """Quantile of answer times in seconds by request name; the limiter's 429 are left out (corrections 20)."""
        rate = f'rate(k6_http_req_duration_seconds{{{self._k6}, status!="429"}}[$interval])'
        return f"histogram_quantile({quantile}, sum by (name) ({rate}))"

    # -- services: container first, then the process ----------------------------------------------

    def cpu_cores(self) -> str:
        """CPU cores in use by service."""
        machine = "on () group_left () max(machine_cpu_cores)"
        return f"{self._container_cpu()} or {self._by_name('sum', self._process_cpu())} * {machine}"

    def cpu_utilization(self) -> str:
        """Share of the CPU that a service may use, 0..1: its container's quota, else the machine."""
        quota = f"container_spec_cpu_quota{{{self._container}}} / container_spec_cpu_period{{{self._container}}}"
        of_quota = f"{self._container_cpu()} / {self._per_container('max', quota)}"
        of_machine = f"{self._container_cpu()} / on () group_left () max(machine_cpu_cores)"
        return f"{of_quota} or {of_machine} or {self._by_name('sum', self._process_cpu())}"

    def memory_bytes(self) -> str:
        """Memory by service: container, else resident set, else what the JVM uses."""
        container = self._per_container("sum", f"container_memory_usage_bytes{{{self._container}}}")
        jvm = self._by_name("sum", f"jvm_memory_used_bytes{{{self._app}}}")
        return f"{container} or {self._by_name('sum', self._resident())} or {jvm}"

    def memory_saturation(self) -> str:
        """Share of the memory that a service may use, 0..1: container limit, else JVM heap limit, else the machine."""
        working = self._per_container("sum", f"container_memory_working_set_bytes{{{self._container}}}")
        limit = self._per_container("max", f"container_spec_memory_limit_bytes{{{self._container}}} > 0")
        machine = "on () group_left () max(machine_memory_bytes)"
        resident = self._by_name("sum", self._resident())
        return f"{working} / {limit} or {self._heap_ratio()} or {working} / {machine} or {resident} / {machine}"

    def network_bytes(self, direction: str) -> str:
        """Bytes/s `receive`d or `transmit`ted by service; by interface of the host where services share its network.

        Without either, by container id.
        """
        return self._network(f"container_network_{direction}_bytes_total")

    def network_errors(self, direction: str) -> str:
        """Network errors/s, by service, interface of the host or container id."""
        return self._network(f"container_network_{direction}_errors_total")

    # -- services: RED -----------------------------------------------------------------------------

    def latency_p95_by_job(self) -> str:
        """p95 in seconds by scrape job, from the recording rule over 5 min (design 5.2)."""
        return 'job:http_latency_p95:rate5m{job=~"$service"}'

    def request_rate(self) -> str:
        """req/s by service, probes left out."""
        return self._requests_by_service("")

    def error_ratio(self) -> str:
        """Share of 5xx answers by service, 0..1; 0 at zero errors (corrections 12)."""
        return ratio(self._requests_by_service(', status=~"5.."'), self._requests_by_service(""))

    def latency(self, quantile: float) -> str:
        """Quantile of answer times in seconds over the chosen services."""
        buckets = f"rate({self.metrics.http_requests}_bucket{{{self._requests}}}[$interval])"
        return f"histogram_quantile({quantile}, sum by (le) ({buckets}))"

    # -- connection pools --------------------------------------------------------------------------

    def pool_connections(self, state: str) -> str:
        """Connections in `state` (active, max, pending) at the scrape, by service and pool."""
        return self._by_pool(f"hikaricp_connections_{state}{{{self._app}}}")

    def pool_mean_in_use(self) -> str:
        """Connections in use on average over the interval (Little's law: seconds of use per second)."""
        return self._by_pool(f"rate(hikaricp_connections_usage_seconds_sum{{{self._app}}}[$interval])")

    def pool_wait_s(self) -> str:
        """Mean wait for a connection in seconds; 0 while nobody asks for one, none where either counter is missing."""
        waited = self._by_pool(f"rate(hikaricp_connections_acquire_seconds_sum{{{self._app}}}[$interval])")
        acquired = self._by_pool(f"rate(hikaricp_connections_acquire_seconds_count{{{self._app}}}[$interval])")
        return f"{waited} / ({acquired} > 0) or ({waited} and {acquired}) * 0"

    def pool_timeouts(self) -> str:
        """Waits given up within 5 min (design 5.2)."""
        return self._by_pool(f"increase(hikaricp_connections_timeout_total{{{self._app}}}[5m])")

    # -- stores ------------------------------------------------------------------------------------

    def mysql(self, metric: str) -> str:
        """A gauge of mysqld_exporter, by instance."""
        return f"max by (instance) (mysql_global_{metric})"

    def redis_hit_ratio(self) -> str:
        """Share of key look-ups that found their key, 0..1; while there are none, the share since Redis started."""
        hits, misses = "redis_keyspace_hits_total", "redis_keyspace_misses_total"
        recent = f"sum(rate({hits}[$interval])) / (sum(rate({hits}[$interval])) + sum(rate({misses}[$interval])) > 0)"
        return f"{recent} or sum({hits}) / (sum({hits}) + sum({misses}))"

    def redis_memory_used_bytes(self) -> str:
        return "max by (instance) (redis_memory_used_bytes)"

    def redis_memory_max_bytes(self) -> str:
        return "max by (instance) (redis_memory_max_bytes)"

    def redis_operations(self) -> str:
        """Commands/s by command."""
        return "sum by (cmd) (rate(redis_commands_total[$interval]))"

    def redis_evictions(self) -> str:
        """Keys/s evicted for want of memory."""
        return "sum by (instance) (rate(redis_evicted_keys_total[$interval]))"

    # -- Kafka; internal topics (`__consumer_offsets`) are left out -------------------------------

    def kafka_produced(self) -> str:
        """Records/s appended by topic."""
        return 'sum by (topic) (rate(kafka_topic_partition_current_offset{topic!~"__.*"}[$interval]))'

    def kafka_consumed(self) -> str:
        """Records/s whose offset was committed, by consumer group."""
        return "sum by (consumergroup) (rate(kafka_consumergroup_current_offset[$interval]))"

    def kafka_lag(self) -> str:
        """Records not yet consumed by group and topic."""
        return "sum by (consumergroup, topic) (kafka_consumergroup_lag)"

    def kafka_lag_growth(self) -> str:
        """Records/s by which the lag grows (above 0) or drains (below 0)."""
        return "sum by (consumergroup, topic) (deriv(kafka_consumergroup_lag[$interval]))"

    # -- parts -------------------------------------------------------------------------------------

    def _container_cpu(self) -> str:
        return self._per_container("sum", f"rate(container_cpu_usage_seconds_total{{{self._container}}}[$interval])")

    def _process_cpu(self) -> str:
        return f"process_cpu_usage{{{self._app}}}"

    def _resident(self) -> str:
        return f"process_resident_memory_bytes{{{self._app}}}"

    def _heap_ratio(self) -> str:
        """Of the pools with a limit: the JVM answers -1 for the others (platform.md 12)."""
        labels = f'{self._app}, area="heap"'
        bounded = f"jvm_memory_max_bytes{{{labels}}} > 0"
        used = self._by_name("sum", f"jvm_memory_used_bytes{{{labels}}} and {bounded}")
        return f"{used} / {self._by_name('sum', bounded)}"

    def _requests_by_service(self, more: str) -> str:
        series = f"{self.metrics.http_requests}_count{{{self._requests}{more}}}"
        return f"sum by ({self.metrics.service_label}) (rate({series}[$interval]))"

    def _by_pool(self, series: str) -> str:
        return f"sum by ({self.metrics.service_label}, pool) ({series})"

    def _network(self, metric: str) -> str:
        services = self._per_container("sum", f"rate({metric}{{{self._container}}}[$interval])")
        host = _renamed("sum", f"rate({metric}{{{HOST}}}[$interval])", "interface", "host $1")
        nameless = _renamed("sum", f'rate({metric}{{id=~"{NAMELESS}"}}[$interval])', "id", "container $1", NAMELESS)
        return f"{services} or ({host} unless on () {services}) or ({nameless} unless on () ({services} or {host}))"

    def _by_name(self, aggregation: str, series: str) -> str:
        return _renamed(aggregation, series, self.metrics.service_label, "$1")

    def _per_container(self, aggregation: str, series: str) -> str:
        if self.metrics.container_label == "name":
            return f"{aggregation} by (name) ({series})"
        return _renamed(aggregation, series, self.metrics.container_label, "$1")


def ratio(part: str, whole: str) -> str:
    """`part / whole` that is 0, not absent, while `part` has no series (corrections 12)."""
    return f"({part} or {whole} * 0) / {whole}"


def _renamed(aggregation: str, series: str, label: str, name: str, pattern: str = "(.+)") -> str:
    """`series` aggregated by a label `name` made from what `pattern` finds in `label`."""
    return f'{aggregation} by (name) (label_replace({series}, "name", "{name}", "{label}", "{pattern}"))'
