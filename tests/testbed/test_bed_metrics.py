"""From an exporter to a PromQL answer: scraped, sent, queryable at once, and through faults."""

import http.server
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from charon_operator import errors, testbed
from tests.testbed_fixtures import ask, wait_until

pytestmark = pytest.mark.testbed

QUERY = "testbed_probe"


class Exporter(http.server.BaseHTTPRequestHandler):
    """An exporter with one series; its own `team` label must win over the target's."""

    def do_GET(self) -> None:
        body = b'testbed_probe{team="exporter"} 42\n'
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def exporter() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    serving.join()


@pytest.fixture(scope="module")
def scraped(bed: testbed.Testbed, exporter: str) -> Iterator[testbed.Testbed]:
    bed.scrape("probe", exporter, {"team": "target", "zone": "z"})
    wait_until(lambda: ask(bed, QUERY), "the scraped series to be queryable")
    yield bed
    bed.unscrape("probe")


def samples(bed: testbed.Testbed) -> int:
    return int(ask(bed, f"count_over_time({QUERY}{{job='probe'}}[5m])")[0]["value"][1])


def samples_if_any(bed: testbed.Testbed) -> int:
    """The same, 0 while Mimir answers with an error or with nothing."""
    try:
        return samples(bed)
    except urllib.error.HTTPError as refused:
        refused.close()
    except (urllib.error.URLError, IndexError):
        pass
    return 0


def test_series_when_scraped_then_is_queryable_with_the_exporters_own_labels(
    scraped: testbed.Testbed,
) -> None:
    [series] = ask(scraped, QUERY)
    assert series["value"][1] == "42"
    assert series["metric"]["team"] == "exporter"
    assert series["metric"]["zone"] == "z"
    assert series["metric"]["job"] == "probe"


def test_series_when_asked_by_another_tenant_then_is_not_there(scraped: testbed.Testbed) -> None:
    assert ask(scraped, QUERY, tenant="somebody-else") == []


def test_mimir_when_asked_without_a_tenant_then_refuses(scraped: testbed.Testbed) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(scraped, QUERY, tenant=None)
    assert refused.value.code == 401
    refused.value.close()


def test_mimir_when_the_query_is_too_long_then_refuses(scraped: testbed.Testbed) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(scraped, "+".join(["vector(1)"] * 8000))
    assert 400 <= refused.value.code < 500
    refused.value.close()


def test_series_when_unscraped_then_goes_stale(bed: testbed.Testbed, exporter: str) -> None:
    bed.scrape("brief", exporter)
    wait_until(lambda: ask(bed, f'{QUERY}{{job="brief"}}'), "the brief target")
    bed.unscrape("brief")
    wait_until(lambda: not ask(bed, f'{QUERY}{{job="brief"}}'), "the brief target to go stale")


def test_target_when_its_name_is_no_file_name_then_is_refused(bed: testbed.Testbed) -> None:
    with pytest.raises(errors.TestbedError, match="cannot name a scrape target"):
        bed.scrape("../escape", "127.0.0.1:1")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_mimir_when_ended_and_started_then_answers_with_old_and_new_samples(
    scraped: testbed.Testbed, how: str
) -> None:
    mimir = scraped.process("mimir")
    before = samples(scraped)
    getattr(mimir, how)()
    with pytest.raises(urllib.error.URLError):
        ask(scraped, QUERY)
    mimir.start()
    first = wait_until(lambda: samples_if_any(scraped), "an answer after Mimir came back")
    assert first >= before
    wait_until(lambda: samples_if_any(scraped) > before, "a new sample after Mimir came back")


def test_mimir_when_paused_then_hangs_until_resumed(scraped: testbed.Testbed) -> None:
    mimir = scraped.process("mimir")
    mimir.pause()
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        urllib.request.urlopen(f"{scraped.mimir_url}/ready", timeout=0.5)
    mimir.resume()
    before = samples(scraped)
    wait_until(lambda: samples(scraped) > before, "a new sample after Mimir went on")
