"""The recording rules, evaluated by Prometheus' own promtool over series that are written down here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from core.ports import loopback_endpoints
from core.settings import ROOT, process_environment
from infra.embedded.programs import ProgramId, ensure
from infra.prometheus.scrape import scrape_config, scrape_jobs

RULES = ROOT / "infra" / "prometheus" / "rules.yml"
REQUESTS = 'http_server_requests_seconds_count{job="shopping-service",uri="/products",status="200"}'
EVERY_5_S = "5s"


def promtool(*arguments: str) -> None:
    """Run promtool; what it says is shown when it is not content."""
    prometheus = ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]
    done = subprocess.run(
        [prometheus.path.with_name("promtool"), *arguments],
        env=process_environment(**prometheus.env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def expect(folder: Path, series: dict[str, str], claims: dict[str, dict[str, float]]) -> None:
    """After ten minutes of `series` (notation of promtool) each expression has exactly these samples."""
    case = {
        "rule_files": [str(RULES)],
        "evaluation_interval": EVERY_5_S,
        "tests": [
            {
                "interval": EVERY_5_S,
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": expr,
                        "eval_time": "10m",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
                    }
                    for expr, samples in claims.items()
                ],
            }
        ],
    }
    file = folder / "case.yml"
    file.write_text(yaml.safe_dump(case))
    promtool("test", "rules", str(file))


class TestRules:
    def test_a_service_without_errors_has_an_error_ratio_of_0(self, tmp_path):
        # 50 requests each 5 s = 10 a second
        expect(
            tmp_path,
            {REQUESTS: "0+50x200"},
            {
                "job:http_requests:rate5m": {'job:http_requests:rate5m{job="shopping-service"}': 10},
                "job:http_error_ratio:rate5m": {'job:http_error_ratio:rate5m{job="shopping-service"}': 0},
                "job:availability:rate5m": {'job:availability:rate5m{job="shopping-service"}': 1},
            },
        )

    def test_a_server_error_counts_and_a_refusal_does_not(self, tmp_path):
        # of 20 answers each 5 s 5 are 5xx and 5 are 429
        expect(
            tmp_path,
            {
                REQUESTS: "0+10x200",
                REQUESTS.replace("200", "503"): "0+5x200",
                REQUESTS.replace("200", "429"): "0+5x200",
            },
            {"job:http_error_ratio:rate5m": {'job:http_error_ratio:rate5m{job="shopping-service"}': 0.25}},
        )

    def test_scrapes_are_not_requests(self, tmp_path):
        expect(
            tmp_path,
            {REQUESTS: "0+50x200", REQUESTS.replace("/products", "/actuator/prometheus"): "0+5x200"},
            {"job:http_requests:rate5m": {'job:http_requests:rate5m{job="shopping-service"}': 10}},
        )

    def test_pools_without_a_maximum_are_left_out_of_the_heap_ratio(self, tmp_path):
        pool = 'jvm_memory_{}_bytes{{job="shopping-service",area="heap",id="{}"}}'
        expect(
            tmp_path,
            {
                pool.format("used", "Tenured Gen"): "50+0x200",
                pool.format("max", "Tenured Gen"): "200+0x200",
                pool.format("used", "Eden Space"): "40+0x200",
                pool.format("max", "Eden Space"): "-1+0x200",
            },
            {"job:jvm_heap_usage_ratio": {'job:jvm_heap_usage_ratio{job="shopping-service"}': 0.25}},
        )

    def test_latency_comes_by_job(self, tmp_path):
        bucket = 'http_server_requests_seconds_bucket{{job="blog-service",uri="/posts",le="{}"}}'
        # all requests lie between 0.05 and 0.1 s: p95 is 0.05 + 0.95 * 0.05
        expect(
            tmp_path,
            {bucket.format("0.05"): "0+0x200", bucket.format("0.1"): "0+50x200", bucket.format("+Inf"): "0+50x200"},
            {"job:http_latency_p95:rate5m": {'job:http_latency_p95:rate5m{job="blog-service"}': 0.0975}},
        )


# promtool's notation: 120 samples, one each 5 s, so that rates are full after ten minutes.
SERVICE = 'job="blog-service",uri="/posts"'
TEN_A_SECOND = "0+50x120"
ONE_A_SECOND = "0+5x120"
WORLD = {
    f'http_server_requests_seconds_count{{{SERVICE},status="200"}}': TEN_A_SECOND,
    f'http_server_requests_seconds_count{{{SERVICE},status="500"}}': ONE_A_SECOND,
    f'http_server_requests_seconds_sum{{{SERVICE},status="200"}}': ONE_A_SECOND,
    # of ten a second: none up to 0.05 s, nine up to 0.1, all up to 0.2
    f'http_server_requests_seconds_bucket{{{SERVICE},le="0.05"}}': "0+0x120",
    f'http_server_requests_seconds_bucket{{{SERVICE},le="0.1"}}': "0+45x120",
    f'http_server_requests_seconds_bucket{{{SERVICE},le="0.2"}}': TEN_A_SECOND,
    f'http_server_requests_seconds_bucket{{{SERVICE},le="+Inf"}}': TEN_A_SECOND,
    'jvm_memory_used_bytes{job="blog-service",area="heap",id="Tenured"}': "50+0x120",
    'jvm_memory_max_bytes{job="blog-service",area="heap",id="Tenured"}': "200+0x120",
    'jvm_memory_used_bytes{job="blog-service",area="nonheap",id="Metaspace"}': "70+0x120",
    'jvm_gc_pause_seconds_count{job="blog-service"}': ONE_A_SECOND,
    'jvm_gc_pause_seconds_sum{job="blog-service"}': "0+0.5x120",
    'hikaricp_connections_active{job="blog-service",pool="p"}': "4+0x120",
    'hikaricp_connections_max{job="blog-service",pool="p"}': "10+0x120",
    'hikaricp_connections_pending{job="blog-service",pool="p"}': "2+0x120",
}
ANSWERS = {
    "job:http_requests:rate5m": 11,
    "job:http_errors:rate5m": 1,
    "job:http_error_ratio:rate5m": 1 / 11,
    "job:http_latency_p50:rate5m": 0.05 + 0.05 * 5 / 9,
    "job:http_latency_p95:rate5m": 0.15,
    "job:http_latency_p99:rate5m": 0.19,
    "job:http_latency_avg:rate5m": 1 / 11,
    "job:jvm_heap_usage_ratio": 0.25,
    "job:jvm_nonheap_used_bytes": 70,
    "job:jvm_gc_rate:rate5m": 1,
    "job:jvm_gc_time_ratio:rate5m": 0.1,
    "job:hikaricp_connection_usage_ratio": 0.4,
    "job:hikaricp_pending_requests": 2,
    "job:availability:rate5m": 1 - 1 / 11,
    "job:latency_sli:rate5m": 10 / 11,
}
BY_URI = "job_uri:http_requests:rate5m"


def recorded() -> set[str]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


class TestEveryRule:
    """promtool compares floats exactly, so each claim is a bound."""

    def test_has_its_answer_here(self):
        assert recorded() == {*ANSWERS, BY_URI}

    def test_answers_by_job(self, tmp_path):
        claims = {
            f"abs({rule} - {answer!r}) < bool 1e-9": {'{job="blog-service"}': 1} for rule, answer in ANSWERS.items()
        }
        expect(tmp_path, WORLD, claims)

    def test_answers_by_job_and_uri(self, tmp_path):
        expect(tmp_path, WORLD, {f"abs({BY_URI} - 11) < bool 1e-9": {f"{{{SERVICE}}}": 1}})

    def test_answers_nothing_without_series(self, tmp_path):
        expect(tmp_path, {}, {rule: {} for rule in recorded()})


class TestScrapeConfig:
    def test_is_valid_to_prometheus(self, tmp_path):
        config = tmp_path / "prometheus.yml"
        config.write_text(scrape_config(scrape_jobs(loopback_endpoints()), [str(RULES)]))
        promtool("check", "config", str(config))
