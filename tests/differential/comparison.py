"""Where a party departs from the reading, and which rows of the table explain that."""
from differential.cases import Case, Outcome
from differential.differences import DIFFERENCES, Difference
from differential.reading import Reading

OURS = "qhttp"
Rows = dict[str, Difference]            # by cause
TABLE: dict[tuple[str, str], Rows] = {}
for difference in DIFFERENCES:
    for one, ways in difference.ways.items():
        for way in ways.split():
            TABLE.setdefault((one, way), {})[difference.cause] = difference


def departures(party: str, case: Case, reading: Reading, outcome: Outcome) -> list[str]:
    """In what this outcome is another one than the reading: accepts, refuses, status, fields, body, left, kept."""
    if reading.faults:
        if outcome.why is None:
            return ["accepts"]
        # What was delivered before it was refused must be a beginning of what may be.
        return [] if party != OURS or reading.body.startswith(outcome.body) else ["body"]
    if outcome.why is not None:
        return ["refuses"]
    found = []
    if outcome.status != reading.status:
        found.append("status")
    if outcome.fields != lowered(reading.fields):
        found.append("fields")
    if outcome.body is not None and outcome.body != reading.body:
        found.append("body")
    if outcome.n_left is not None and outcome.n_left != len(case.data) - reading.n_used:
        found.append("left")
    if outcome.is_kept is not None and outcome.is_kept != should_keep(party, case, reading, outcome):
        found.append("kept")
    return found


def should_keep(party: str, case: Case, reading: Reading, outcome: Outcome) -> bool:
    """Bytes behind an answer are for whoever has the connection to notice. qhttp does; cut apart, they come after its end."""
    if party != OURS or reading.n_used == len(case.data):
        return reading.is_kept
    return reading.is_kept and outcome.is_kept if case.cuts else False


def lowered(fields: list) -> list:
    return [(name.lower(), value) for name, value in fields]


def explanation(party: str, how: str, reading: Reading, outcome: Outcome) -> list[Difference]:
    """The rows that explain a departure; none: nothing does."""
    rows = TABLE.get((party, how), {})
    noted = [rows[note] for note in sorted(reading.notes) if note in rows]
    if how == "accepts":                # each fault has to be one that this party lets pass, or does not come to
        faults = reading.faults.difference(*(row.hides(reading.faults) for row in noted))
        found = [rows.get(fault) for fault in sorted(faults)]
        return [] if None in found else found + noted
    if how == "fields":                 # with what is known undone, they have to be the same
        noted = [row for row in noted if row.undo]
        ours, theirs = lowered(reading.fields), outcome.fields
        for row in noted:
            ours, theirs = row.undo(ours), row.undo(theirs)
        return noted if ours == theirs else []
    return noted[:1]


def stand(ours: Outcome, others: dict[str, Outcome]) -> str | None:
    """Where qhttp stands against all others together: "accepts", "refuses", or None."""
    if ours.why is None and all(one.why is not None for one in others.values()):
        return "accepts"
    if ours.why is not None and all(one.why is None for one in others.values()):
        return "refuses"
    return None


def sole_cause(stance: str, reading: Reading, others: dict[str, Outcome]) -> str | None:
    """The one cause for which all others differ from qhttp; None where each has a reason of its own."""
    if stance == "refuses":
        causes = set.intersection(*({row.cause for row in explanation(one, "accepts", reading, outcome)}
                                    for one, outcome in others.items()))
    else:
        causes = {note for note in reading.notes if all(note in TABLE.get((one, "refuses"), {}) for one in others)}
    return min(causes) if causes else None
