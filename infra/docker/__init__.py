"""The docker backend: two compose files, `docker compose` to bring them up, the docker SDK to look."""
