"""Links of the pages to files outside of docs/: the site has no such files, so they become what they are called."""
import re

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")
FENCES = re.compile(r"^(```.*?^```$)", re.M | re.S)
INFO = re.compile(r"^```(python) runnable.*$", re.M)
PRINTS = re.compile(r"^```text prints$", re.M)


def read(app, docname, source):
    parts = FENCES.split(source[0])
    for i, part in enumerate(parts):
        if part.startswith("```"):
            parts[i] = PRINTS.sub("```text", INFO.sub(r"```\1", part))
        else:
            parts[i] = OUTSIDE.sub(lambda found: found[1] if found[1].startswith("`") else f"`{found[2]}`", part)
    source[0] = "".join(parts)


def setup(app):
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
