from qhttp._core cimport (
    QH_FRAMING_CHUNKED, QH_FRAMING_CLOSE, QH_FRAMING_LENGTH, QH_FRAMING_NONE, QH_LENGTH_BAD, QH_LENGTH_ONE,
    qh_framing, qh_head_facts,
)

cpdef qh_framing decide(bint is_head_request, qh_head_facts facts) except? QH_FRAMING_CLOSE
cpdef bint keeps_alive(qh_framing framing, qh_head_facts facts)
