"""Floor 3: what to do about an event: names, connections, the pool, one exchange (docs/design/0002-exchange.md)."""
