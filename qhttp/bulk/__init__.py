"""Floor 5: many transfers, files, sessions (docs/design/0006-bulk.md). Nothing below imports it."""
