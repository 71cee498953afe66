"""Links of the pages to files outside of docs/: the site has no such files, so they become what they are called.

Anchors and fences are said as Sphinx knows them, too."""
import re

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")
FENCES = re.compile(r"^(```.*?^```$)", re.M | re.S)
INFO = re.compile(r"^```(python) runnable.*$", re.M)
ANCHOR = re.compile(r'^<a id="([^"]+)"></a>$', re.M)
PRINTS = re.compile(r"^```text prints$", re.M)


def read(app, docname, source):
    parts = FENCES.split(source[0])
    for i, part in enumerate(parts):
        if part.startswith("```"):
            parts[i] = PRINTS.sub("```text", INFO.sub(r"```\1", part))
        else:
            part = OUTSIDE.sub(lambda found: found[1] if found[1].startswith("`") else f"`{found[2]}`", part)
            parts[i] = ANCHOR.sub(r"(\1)=", part)
    source[0] = "".join(parts)


def setup(app):
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
