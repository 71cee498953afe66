"""The hot pieces of qhttp on their own, against their own past. See README.md beside this."""
