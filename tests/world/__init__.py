"""Against the servers and libraries of others: nginx, Apache, Squid, Dante, pyspnego, PySide6. Run by `make test-world`."""
