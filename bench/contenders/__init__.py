"""One module for each client that is compared; each is run as a process of its own.

python -m bench.contenders.NAME '{"port": 8080, "path": "/b/1024", ...}'
"""
