"""The Kafka bot: sends order events on a schedule, accounts for each, watches the consumers (design section 6)."""
