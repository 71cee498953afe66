"""Limits: what is taken, what is refused, how it reads."""
import pytest

from qhttp import Limits

NAMES = ("head_len", "line_len", "n_fields", "extension_len", "trailer_len", "chunk_len")
SMALL_ONES = NAMES[:-1]


def test_limits_by_default_are_those_documented():
    assert repr(Limits()) == ("Limits(head_len=65536, line_len=32768, n_fields=256, extension_len=16384, "
                              "trailer_len=16384, chunk_len=4611686018427387903)")


def test_limits_repr_makes_the_same_again():
    limits = Limits(head_len=11, line_len=12, n_fields=13, extension_len=14, trailer_len=15, chunk_len=16)
    assert repr(limits) == "Limits(head_len=11, line_len=12, n_fields=13, extension_len=14, trailer_len=15, chunk_len=16)"
    assert repr(eval(repr(limits))) == repr(limits)


@pytest.mark.parametrize("name", NAMES)
def test_limits_each_bound_set_alone_leaves_the_others(name):
    assert repr(Limits(**{name: 7})) == "Limits(" + ", ".join(
        f"{other}=7" if f"{other}=" in name + "=" else part
        for other, part in zip(NAMES, repr(Limits())[len("Limits("):-1].split(", "), strict=True)) + ")"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, 1.0, "5", None, 2**62, 2**64, 2**200])
def test_limits_bad_bound_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize("name", SMALL_ONES)
def test_limits_bound_of_31_bits_and_more_is_refused(name):
    assert f"{name}={2**31 - 1}" in repr(Limits(**{name: 2**31 - 1}))
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 2**31})


@pytest.mark.parametrize("value", [1, 2**31, 2**62 - 1])
def test_limits_chunk_has_62_bits(value):
    assert f"chunk_len={value})" in repr(Limits(chunk_len=value))


def test_limits_by_position_or_by_another_name_are_refused():
    with pytest.raises(TypeError):
        Limits(5)
    with pytest.raises(TypeError):
        Limits(body_len=5)


@pytest.mark.parametrize("name", NAMES)
def test_limits_once_made_cannot_be_set(name):
    with pytest.raises(AttributeError):
        setattr(Limits(), name, 1)
