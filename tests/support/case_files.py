"""Reading the recorded cases: JSON with one case on a line.

Where a long text consists of runs, the file has {"runs": ["text", ["x", 65536], "text"]} in its place.
"""
import json


def load_cases(path) -> list:
    with open(path, encoding="ascii") as source:
        return expanded(json.load(source))


def expanded(value):
    if isinstance(value, list):
        return [expanded(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"runs"}:
            return "".join(part if isinstance(part, str) else part[0] * part[1] for part in value["runs"])
        return {key: expanded(item) for key, item in value.items()}
    return value
