"""Draws docs/pictures/: the floors, the signals of a request, the states. Grey and one colour, so that they suit light and
dark pages.

    python tools/draw.py            # writes the .svg files; tests/test_docs.py compares them with what this draws
"""
from pathlib import Path

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
INK, MARK = "#7a7f87", "#2f8fd8"
FONT = "font-family='ui-sans-serif,system-ui,sans-serif' font-size='13'"

FLOORS = [
    ("5", "bulk   cli   aio   qt   fs", "many transfers; files, sessions; other worlds"),
    ("4", "http   request_queue   headers", "the Qt face: queue, states, signals"),
    ("3", "engine", "names, connecting, TLS, tunnels, the pool, one exchange"),
    ("2", "protocol", "bytes in, values out: heads, framing, credentials"),
    ("1", "_core   _connection   _sinks   _signal", "the loop, its memory, the GIL"),
    ("0", "src_c", "C11 kernels: scan, index, decode, receive, place"),
]
SIGNALS = [
    ("requestStarted(id)", "get() was called a turn ago"),
    ("stateChanged(Connecting)", "where there is no connection yet"),
    ("stateChanged(Sending)", ""),
    ("dataSendProgress(done, total)", "as the request is written"),
    ("stateChanged(Reading)", "the answer begins"),
    ("responseHeaderReceived(header)", "the head is whole, and valid"),
    ("dataReadProgress(done, total)", "bytes of the body have come ..."),
    ("readyRead(header)", "... and can be read: these two again and again"),
    ("stateChanged(Connected)", "the body is whole; the connection rests"),
    ("requestFinished(id, error)", "a turn later"),
    ("done(error)", "where nothing is left in the queue"),
]
STATES = {"Unconnected": (70, 40), "HostLookup": (250, 40), "Connecting": (430, 40), "Sending": (430, 140), "Reading": (250,
140),           "Connected": (70, 140), "Closing": (70, 240)}
WAYS = [
    ("Unconnected", "HostLookup", "a name"), ("HostLookup", "Connecting", ""), ("Connecting", "Sending", ""),
    ("Sending", "Reading", "first byte"), ("Reading", "Connected", "whole"), ("Connected", "Sending", "next request"),
    ("Connected", "Closing", "close()"), ("Reading", "Closing", "error, or last"), ("Closing", "Unconnected", ""),
]
BOX = (120, 34)


def text(x, y, words, colour=INK, anchor="start", weight="normal"):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    look = f"fill='{colour}' text-anchor='{anchor}' font-weight='{weight}' xml:space='preserve' {FONT}"
    return f"<text x='{x}' y='{y}' {look}>{words}</text>"


def box(x, y, width, height, colour=INK):
    look = f"rx='6' fill='{INK}' fill-opacity='0.15' stroke='{colour}'"
    return f"<rect x='{x}' y='{y}' width='{width}' height='{height}' {look}/>"


def arrow(x1, y1, x2, y2, bend=""):
    way = f"M{x1},{y1} {bend or 'L'}{x2},{y2}"
    return f"<path d='{way}' fill='none' stroke='{INK}' marker-end='url(#tip)'/>"


def picture(width, height, parts):
    tip = (f"<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
           f"<path d='M0,0 L8,4 L0,8 z' fill='{INK}'/></marker></defs>")
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>{tip}"
            + "".join(parts) + "</svg>\n")


def floors():
    parts = []
    for i, (number, names, what) in enumerate(FLOORS):
        y = 10 + 48 * i
        parts += [box(10, y, 660, 40, MARK if number == "4" else INK), text(24, y + 25, number, MARK, weight="bold"),
                  text(48, y + 25, names, weight="bold"), text(656, y + 25, what, anchor="end")]
    parts.append(text(10, 10 + 48 * len(FLOORS) + 12, "Imports point downwards only."))
    return picture(680, 10 + 48 * len(FLOORS) + 22, parts)


def signals():
    parts = [f"<path d='M24,20 V{20 + 34 * len(SIGNALS)}' stroke='{INK}' marker-end='url(#tip)'/>"]
    for i, (name, why) in enumerate(SIGNALS):
        y = 36 + 34 * i
        colour = INK if name.startswith("state") else MARK
        parts += [f"<circle cx='24' cy='{y - 4}' r='4' fill='{colour}'/>", text(44, y, name, colour, weight="bold"), text(300,
        y, why)]
    return picture(640, 40 + 34 * len(SIGNALS), parts)


def states():
    width, height = BOX
    parts = []
    for name, (x, y) in STATES.items():
        parts += [box(x, y, width, height, MARK if name == "Connected" else INK),
                  text(x + width / 2, y + 22, name, anchor="middle", weight="bold")]
    for start, end, why in WAYS:
        (x1, y1), (x2, y2) = STATES[start], STATES[end]
        if (start, end) == ("Closing", "Unconnected"):
            parts.append(arrow(x1, y1 + 17, x2, y2 + 17, "H30 V57 H"))
            parts[-1] = parts[-1].replace(f"H{x2},{y2 + 17}", f"H{x2}")
        elif (start, end) == ("Connected", "Sending"):
            parts += [arrow(x1 + 90, y1 + height, x2 + 30, y2 + height, f"C{x1 + 130},{y1 + 80} {x2 - 20},{y2 + 80} "),
                      text((x1 + x2 + width) / 2, y1 + 82, why, anchor="middle")]
        elif y1 == y2:
            left, right = (x1 + width, x2) if x2 > x1 else (x1, x2 + width)
            parts += [arrow(left, y1 + 17, right, y2 + 17), text((left + right) / 2, y1 + 8, why, anchor="middle")]
        elif start == "Reading":
            parts += [arrow(x1 + 20, y1 + height, x2 + width, y2 + 17), text(x1 - 8, y1 + 98, why)]
        else:
            parts += [arrow(x1 + 60, y1 + height, x2 + 60, y2), text(x1 + 66, (y1 + y2 + height) / 2 + 4, why)]
    return picture(620, 300, parts)


DRAWN = {"floors.svg": floors, "signals.svg": signals, "states.svg": states}

if __name__ == "__main__":
    for name, draw in DRAWN.items():
        (PICTURES / name).write_text(draw())
