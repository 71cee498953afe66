"""Writes the adversarial answers, as far as they are plain bytes of one connection, as a C header: `answers.py OUT`."""
import base64
import json
import sys
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "tests/adversarial/data/corpus.json"
ENDS = ("close", "half_close", "reset")
MOST = 16 << 10         # bytes of one answer: what is longer shows nothing more here
N_TIMES = 3             # of what is repeated very often


def text_of(value) -> bytes:
    if isinstance(value, dict):         # {"runs": ["text", ["x", 65536]]}
        value = "".join(part if isinstance(part, str) else part[0] * part[1] for part in value["runs"])
    return value.encode("latin-1")


def answer_of(case):
    """(bytes, whether the stream ends behind them), or None for what is more than that."""
    sent = b""
    for step in case["server"]:
        if "send" in step:
            sent += text_of(step["send"])
        elif "b64" in step:
            sent += base64.b64decode(step["b64"])
        elif "repeat" in step:
            sent += text_of(step["repeat"]) * min(step["times"], N_TIMES)
        elif any(end in step for end in ENDS):
            return sent, True
        elif not step.keys() <= {"sleep_ms", "hold_ms", "drain_ms"}:
            return None
    return sent, False


def main(path: str) -> None:
    rows = []
    for case in json.loads(CORPUS.read_text("ascii")):
        answer = answer_of(case)
        if answer is None or len(answer[0]) > MOST or case.get("method", "GET") not in ("GET", "HEAD"):
            continue
        data, closes = answer
        numbers = ",".join(map(str, data)) or "0"
        rows.append((case["id"], numbers, len(data), closes, case.get("method") == "HEAD"))
    with open(path, "w") as out:
        out.write("/* Made by answers.py. */\n#include <stdbool.h>\n#include <stddef.h>\n")
        for name, numbers, *_ in rows:
            out.write(f"static const unsigned char answer_{name}[] = {{{numbers}}};\n")
        out.write("static const struct answer {\n    const char *name;\n    const unsigned char *data;\n    size_t len;\n"
                  "    bool closes, is_head;\n} ANSWERS[] = {\n")
        for name, _, length, closes, is_head in rows:
            out.write(f'    {{"{name}", answer_{name}, {length}, {str(closes).lower()}, {str(is_head).lower()}}},\n')
        out.write("};\n")


if __name__ == "__main__":
    main(sys.argv[1])
