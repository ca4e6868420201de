"""The reference portal: five small, real processes that speak the platform's HTTP dialect over real stores.

`python -m infra.portal.gateway|auth|blog|shopping|notification`, each configured by `PORTAL_*` (see `settings`).
It imports nothing of the suite, and the suite reaches it over the network only. Dialect: platform.md 1-3, 11, 12.
"""
