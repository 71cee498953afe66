"""Signal: which callables are slots, and how many of the signal's arguments each is given."""
import functools
from unittest.mock import Mock

import pytest

from qhttp._core import Loop
from qhttp._signal import Signal


def one(a):
    one.got.append((a,))


def two(a, b):
    two.got.append((a, b))


def optional(a, b="default"):
    optional.got.append((a, b))


def any_number(*args):
    any_number.got.append(args)


def first_and_rest(a, *rest):
    first_and_rest.got.append((a, *rest))


def keyword_with_default(a, *, key="default"):
    keyword_with_default.got.append((a, key))


def keywords(a, **rest):
    keywords.got.append((a, *rest.items()))


def positional_only(a, /):
    positional_only.got.append((a,))


def none():
    none.got.append(())


@pytest.mark.parametrize("slot, given", [
    (none, ()), (one, (1,)), (two, (1, 2)), (optional, (1, 2)), (any_number, (1, 2, 3)), (first_and_rest, (1, 2, 3)),
    (keyword_with_default, (1, "default")), (keywords, (1,)), (positional_only, (1,)),
])
def test_connect_function_gets_as_many_arguments_as_it_takes(slot, given):
    slot.got = []
    signal = Signal("three", 3)
    signal.connect(slot)
    signal.emit(1, 2, 3)
    assert slot.got == [given]


@pytest.mark.parametrize("slot, given", [(none, ()), (one, (1,)), (optional, (1, "default")), (any_number, (1,))])
def test_connect_function_to_a_signal_of_one_argument_gets_no_more(slot, given):
    slot.got = []
    signal = Signal("one", 1)
    signal.connect(slot)
    signal.emit(1)
    assert slot.got == [given]


class Receiver:
    """Slots of every kind that a class can have."""

    got: list = []

    def method(self, a):
        self.got.append((a,))

    def method_without(self):
        self.got.append(())

    def method_of_any(self, *args):
        self.got.append(args)

    @classmethod
    def of_class(cls, a):
        cls.got.append((a,))

    @staticmethod
    def static(a):
        Receiver.got.append((a,))

    def __call__(self, a):
        self.got.append((a,))


class Callable:
    """A callable whose arity stands in its class."""

    def __init__(self, got):
        self.got = got

    def __call__(self):
        self.got.append(())


@pytest.fixture
def receiver():
    Receiver.got = []
    return Receiver()


@pytest.mark.parametrize("make, given", [
    (lambda r: r.method, (1,)),
    (lambda r: r.method_without, ()),
    (lambda r: r.method_of_any, (1, 2)),
    (lambda r: r.of_class, (1,)),
    (lambda r: Receiver.of_class, (1,)),
    (lambda r: r.static, (1,)),
    (lambda r: r, (1,)),
    (lambda r: Callable(r.got), ()),
    (lambda r: lambda: r.got.append(()), ()),
    (lambda r: lambda a: r.got.append((a,)), (1,)),
    (lambda r: functools.partial(r.method_of_any, 0), (0, 1, 2)),
    (lambda r: functools.partial(r.method, 0), (0,)),
    (lambda r: functools.partial(functools.partial(lambda *args: r.got.append(args), 8), 9), (8, 9, 1, 2)),
    (lambda r: functools.partial(lambda a, b: r.got.append((a, b)), 0), (0, 1)),
    (lambda r: functools.partial(lambda a, tag: r.got.append((a, tag)), tag="t"), (1, "t")),
    (lambda r: functools.partial(lambda a, b, tag: r.got.append((a, b, tag)), tag="t"), (1, 2, "t")),
    (lambda r: functools.partial(lambda a, *, tag: r.got.append((a, tag)), tag="t"), (1, "t")),
    (lambda r: functools.wraps(one)(lambda *args: r.got.append(args)), (1, 2)),
])
def test_connect_callable_gets_as_many_arguments_as_it_takes(receiver, make, given):
    signal = Signal("two", 2)
    signal.connect(make(receiver))
    signal.emit(1, 2)
    assert receiver.got == [given]


def test_connect_builtin_method_of_one_argument_gets_one():
    signal, got = Signal("two", 2), []
    signal.connect(got.append)
    signal.emit(1, 2)
    assert got == [1]


def test_connect_builtin_of_any_number_gets_all(capsys):
    signal = Signal("two", 2)
    signal.connect(print)
    signal.emit(1, 2)
    assert capsys.readouterr().out == "1 2\n"


def test_connect_builtin_without_arguments_gets_none():
    signal, got = Signal("two", 2), [1]
    signal.connect(got.clear)
    signal.emit(1, 2)
    assert got == []


def test_connect_builtin_that_tells_nothing_about_itself_gets_all():
    signal = Signal("two", 2)
    signal.connect(max)
    signal.emit(1, 2)                                   # of 1 alone it would complain


def test_connect_mock_gets_all():
    signal, mock = Signal("two", 2), Mock()
    signal.connect(mock)
    signal.emit(1, 2)
    mock.assert_called_once_with(1, 2)


def test_connect_compiled_method_gets_as_many_as_it_takes():
    loop, ran = Loop(), []
    signal = Signal("two", 2)
    loop.call_soon(lambda: ran.append(1))
    signal.connect(loop.dispatch)
    signal.emit(1, 2)
    assert ran == [1]


def test_connect_class_is_called_with_all_arguments():
    made = []

    class Made:
        def __init__(self, a, b):
            made.append((a, b))

    signal = Signal("two", 2)
    signal.connect(Made)
    signal.emit(1, 2)
    assert made == [(1, 2)]


# -- refused
def needs_three(a, b, c):
    pass


@pytest.mark.parametrize("slot", [
    needs_three,
    lambda a, b: None,
    Receiver.method,                                    # not bound: self is one more
    functools.partial(needs_three, 1),
    lambda a, *, key: None,                             # nobody gives the keyword
    setattr,
    Signal("two", 2),
], ids=["function", "lambda", "unbound", "partial", "keyword", "builtin", "signal"])
def test_connect_slot_that_needs_more_arguments_is_refused(slot):
    signal = Signal("one", 1)
    with pytest.raises(TypeError):
        signal.connect(slot)
    assert "0 slots" in repr(signal)
    signal.emit(1)


@pytest.mark.parametrize("slot", [None, 5, "slot", b"1slot()", []])
def test_connect_what_cannot_be_called_is_refused(slot):
    with pytest.raises(TypeError, match="callable"):
        Signal("one", 1).connect(slot)


def test_connect_slot_whose_own_type_error_is_raised_as_it_is():
    calls = []

    def slot(a):
        calls.append(a)
        raise TypeError("of the slot itself")

    signal = Signal("two", 2)
    signal.connect(slot)
    with pytest.raises(TypeError, match="of the slot itself"):
        signal.emit(1, 2)
    assert calls == [1]                                 # not tried again with fewer arguments
