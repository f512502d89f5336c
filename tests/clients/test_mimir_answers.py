"""Bodies as they come, and as they must never come: M2 and M3 of the fault table."""

import json
import math

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from charon_operator import settings
from charon_operator.clients import mimir
from charon_operator.ports import FailureKind, QueryFailure, Series, Vector

GOOD = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [{"metric": {"a": "b"}, "value": [1700000000.5, "7.25"]}],
    },
}


def _with(**data: object) -> bytes:
    return json.dumps({"status": "success", "data": data}).encode()


def _valued(value: object) -> bytes:
    return _with(resultType="vector", result=[{"metric": {}, "value": value}])


def _timed(time: str) -> bytes:
    text = f'{{"status":"success","data":{{"resultType":"scalar","result":[{time},"2"]}}}}'
    return text.encode()


NUMBERS = [("0", 0.0), ("-3", -3.0), ("1e+308", 1e308), ("5e-324", 5e-324), ("NaN", math.nan),
           ("+Inf", math.inf), ("-Inf", -math.inf),
           ("1.7954881989725916e+09", 1795488198.9725916)]  # fmt: skip


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_a_vector_when_decoded_then_labels_value_and_time(text: str, number: float) -> None:
    found = mimir.decode(_valued([17, text]))
    assert isinstance(found, Vector)
    assert found.series[0].time_s == 17.0
    assert found.series[0].value == pytest.approx(number, nan_ok=True)


def test_a_scalar_when_decoded_then_a_series_without_labels() -> None:
    body = _with(resultType="scalar", result=[17.0, "3"])
    assert mimir.decode(body) == Vector((Series({}, 3.0, 17.0),))


def test_a_histogram_when_decoded_then_it_is_there_and_no_number() -> None:
    value = [17, {"count": "3", "sum": "2", "buckets": []}]
    body = _with(resultType="vector", result=[{"metric": {}, "histogram": value}])
    found = mimir.decode(body)
    assert isinstance(found, Vector)
    assert math.isnan(found.series[0].value)


def test_warnings_when_there_then_kept_and_infos_are_not() -> None:
    found = mimir.decode(json.dumps({**GOOD, "warnings": ["w\n"], "infos": ["i"]}).encode())
    assert isinstance(found, Vector)
    assert found.warnings == ("w ",)


MALFORMED = {
    "empty": b"",
    "html": b"<html>502</html>",
    "truncated": json.dumps(GOOD).encode()[:-9],
    "latin": json.dumps(GOOD, ensure_ascii=False).encode("utf-16"),
    "status error": b'{"status":"error","errorType":"bad_data","error":"x"}',
    "no data": b'{"status":"success"}',
    "null data": b'{"status":"success","data":null}',
    "list": b"[]",
    "number": b"1",
    "matrix": _with(resultType="matrix", result=[{"metric": {}, "values": [[1, "2"]]}]),
    "string": _with(resultType="string", result=[1, "x"]),
    "unknown type": _with(resultType="streams", result=[]),
    "no result": _with(resultType="vector"),
    "result is a map": _with(resultType="vector", result={}),
    "series is a text": _with(resultType="vector", result=["x"]),
    "series without value": _with(resultType="vector", result=[{"metric": {}}]),
    "labels are null": _with(resultType="vector", result=[{"metric": None, "value": [1, "2"]}]),
    "label is a number": _with(
        resultType="vector", result=[{"metric": {"a": 1}, "value": [1, "2"]}]
    ),
    "number not a text": _valued([1, 2]),
    "value null": _valued([1, None]),
    "value abc": _valued([1, "abc"]),
    "value empty": _valued([1, ""]),
    "value with underscore": _valued([1, "1_0"]),
    "value with space": _valued([1, " 1"]),
    "value infinity": _valued([1, "infinity"]),
    "value hex": _valued([1, "0x10"]),
    "arabic digits": _valued([1, "\u0661"]),
    "time text": _valued(["1", "2"]),
    "time true": _valued([True, "2"]),
    "time NaN": _timed("NaN"),
    "time huge": _timed("1e999"),
    "time very long": _timed("9" * 5000),
    "time long": _timed("9" * 4000),
    "pair of one": _valued([1]),
    "pair of three": _valued([1, "2", 3]),
    "scalar null": _with(resultType="scalar", result=None),
    "warnings a text": json.dumps({**GOOD, "warnings": "w"}).encode(),
    "warnings of numbers": json.dumps({**GOOD, "warnings": [1]}).encode(),
    "deep": b"[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_body_when_it_is_not_the_one_right_shape_then_malformed(body: bytes) -> None:
    found = mimir.decode(body)
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.MALFORMED
    assert found.detail


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=8),
              st.sampled_from(["success", "vector", "scalar", "1.5", "NaN"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["status", "data", "resultType", "result", "metric", "value", "warnings"]
            ),
            inner, max_size=5,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@profile(max_examples=400)
@given(st.one_of(st.binary(max_size=200), JSON.map(lambda one: json.dumps(one).encode())))
def test_any_body_when_decoded_then_a_vector_or_malformed_and_never_an_exception(
    body: bytes,
) -> None:
    found = mimir.decode(body)
    assert isinstance(found, Vector) or found.kind is FailureKind.MALFORMED


@profile(max_examples=300)
@given(st.data())
def test_a_good_body_when_one_part_is_replaced_then_never_an_exception(data: st.DataObject) -> None:
    body = json.loads(json.dumps(GOOD))
    here: object = body
    while isinstance(here, dict | list) and here:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()):
            here[key] = data.draw(JSON)
            break
        here = here[key]
    found = mimir.decode(json.dumps(body).encode())
    assert isinstance(found, Vector) or found.kind is FailureKind.MALFORMED


REFUSAL = b'{"status":"error","errorType":"bad_data","error":"1:5: parse error"}'
EXECUTION = b'{"status":"error","errorType":"execution","error":"found duplicate series"}'
LATE = (
    b'{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}'
)
STATUSES = [
    (503, LATE, FailureKind.TIMEOUT, "query timed out"),
    (504, b"<html>gateway timeout</html>", FailureKind.UNAVAILABLE, "HTTP 504"),
    (400, REFUSAL, FailureKind.REJECTED, "1:5: parse error"),
    (422, EXECUTION, FailureKind.REJECTED, "found duplicate series"),
    (413, b"", FailureKind.REJECTED, "HTTP 413"),
    (400, b"<html>bad gateway config</html>", FailureKind.UNAVAILABLE, "HTTP 400"),
    (422, b'{"status":"error","errorType":"internal","error":"x"}', FailureKind.UNAVAILABLE, "422"),
    (400, b'{"status":"error","errorType":["x"],"error":"x"}', FailureKind.UNAVAILABLE, "400"),
    (401, b"no org id", FailureKind.UNAVAILABLE, "HTTP 401"),
    (403, b"", FailureKind.UNAVAILABLE, "HTTP 403"),
    (404, REFUSAL, FailureKind.UNAVAILABLE, "HTTP 404"),
    (429, REFUSAL, FailureKind.UNAVAILABLE, "HTTP 429"),
    (500, REFUSAL, FailureKind.UNAVAILABLE, "HTTP 500"),
    (503, b"", FailureKind.UNAVAILABLE, "HTTP 503"),
    (204, b"", FailureKind.UNAVAILABLE, "HTTP 204"),
    (302, b"", FailureKind.UNAVAILABLE, "HTTP 302"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "words"), STATUSES)
async def test_a_status_when_not_200_then_its_kind_of_failure(
    status: int, body: bytes, kind: FailureKind, words: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=httpx.ByteStream(body))

    async with mimir.MimirClient(settings.Mimir(), httpx.MockTransport(answer)) as client:
        found = await client.query("t", "x", time_s=1.0, timeout_s=5.0)
    assert isinstance(found, QueryFailure)
    assert found.kind is kind
    assert words in found.detail
    assert len(found.detail) <= 256
