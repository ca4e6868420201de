"""Prometheus -> pandas -> gates -> report.json -> HTML, JUnit, Markdown (architecture.md, "The house")."""
