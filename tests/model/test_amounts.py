"""Quantities as the API server writes them, and as we write them to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.model import amount, quantity


@pytest.mark.parametrize(
    ("text", "cpu_m"),
    [
        ("250m", 250),
        ("4", 4000),
        ("0.5", 500),
        (".5", 500),
        (2, 2000),
        ("1e3", 1_000_000),
        ("100u", 1),
        ("1k", 1_000_000),
    ],
)
def test_cpu_is_read_in_millicores_rounded_up(text: object, cpu_m: int) -> None:
    assert amount.millicores(text) == cpu_m


@pytest.mark.parametrize(
    ("text", "memory_b"),
    [
        ("512Mi", 2**29),
        ("1.5Gi", 3 * 2**29),
        ("1e9", 10**9),
        ("1E", 10**18),
        ("100m", 1),
        ("7Ei", 7 * 2**60),
        ("0", 0),
    ],
)
def test_memory_is_read_in_bytes_rounded_up(text: object, memory_b: int) -> None:
    assert amount.whole_bytes(text) == memory_b


@pytest.mark.parametrize(
    "text", ["", "m", "1mi", "1 Mi", "-1", "8Ei", "1e99", "٣", "nan", None, [], "1__0"]
)
def test_what_is_no_quantity_is_none(text: object) -> None:
    assert amount.whole_bytes(text) is None


@given(st.integers(0, 2**53))
def test_texts_are_read_back(number: int) -> None:
    assert amount.millicores(quantity.render_cpu(number)) == number
    assert amount.whole_bytes(quantity.render_memory(number)) == number
