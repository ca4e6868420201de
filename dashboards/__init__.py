"""Dashboards as code, and the engine that asks their panels' queries as Grafana would."""
