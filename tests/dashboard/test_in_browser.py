"""The pages in a real browser: accessible, self-contained, useful without JavaScript, and live with it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.access.scopes import Scope
from app.core.db import Database
from app.core.settings import QueueSettings, Settings
from app.embedded import ServerUrls
from app.main import create_app
from app.reproductions.course import mark
from app.verdicts.conclude import conclude_run
from tests.api.fixtures import UNLIMITED
from tests.api.helpers import PAPER, Api
from tests.dashboard.browser import PATIENCE_MS, opened, started
from tests.dashboard.world import SPLIT_FILE, TINY, World, make_world, texts_table
from tests.factories.databases import copied
from tests.factories.forks import Forks
from tests.factories.keys import make_key
from tests.factories.runs import ask, beat, facts, predictions, take
from tests.factories.served import serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=PATIENCE_MS)
PHONE = 390
MOST_BYTES = 200_000


@dataclass(frozen=True)
class Site:
    """A service that runs, what is in it, and a key."""

    base: str
    world: World
    database: Database
    key: str

    @property
    def addresses(self) -> list[str]:
        """One of each page."""
        world = self.world
        return [
            "/",
            f"/papers/{TINY}",
            f"/papers/{PAPER}",
            f"/verdicts/{world.counted}",
            f"/verdicts/{world.ran}",
            f"/verdicts/{world.ran}/examples",
            f"/compare/{world.ran}/{world.ran_again}",
            "/queue",
            f"/reproductions/{world.runs['running']}",
            f"/reproductions/{world.runs['failed']}",
            "/drivers",
            f"/drivers/{world.tiny.slug}",
            "/workers",
            f"/papers/{TINY}/reproduce",
            "/papers/nonsense",
            "/nothing",
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(
    forks: Forks,
    browser: Browser,  # noqa: ARG001  # without one there is nothing to make a service for
    servers: ServerUrls,
    maintenance: psycopg.Connection,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    path = folder / SPLIT_FILE
    path.parent.mkdir()
    pq.write_table(pa.table(texts_table()), path)
    digest = sha256(path.read_bytes()).hexdigest()
    with copied(servers, maintenance, template_database) as url:
        settings = Settings(
            database_url=url,
            redis_url=servers.redis_url,
            log_level="ERROR",
            queue=QueueSettings(sweep_s=3600),
            access=UNLIMITED,
        )
        with Api(create_app(settings)) as client:
            database: Database = client.app.state.database  # type: ignore[attr-defined]  # a FastAPI application's
            client.key = make_key(database).key
            world = make_world(client, database, digest)
            key = make_key(database, Scope.reproduce).key
            # Leases that nobody renews run out while a busy machine takes its time: no sweep may take the runs away.
            options = {"VERDICTS_QUEUE__SWEEP_S": "3600", "VERDICTS_CATALOGUE_DIR": str(folder)}
            with serving(forks, url, servers.redis_url, folder, **options) as served:
                yield Site(served.base, world, database, key)


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, PHONE)], ids=["light", "dark phone"])
def test_axe_finds_nothing(browser: Browser, site: Site, *, dark: bool, width: int) -> None:
    found: dict[str, list[str]] = {}
    with opened(browser, site.base, dark=dark, width=width) as (page, watched):
        page.goto("/workers")
        page.evaluate("document.querySelector('main').append(new Image())")
        assert "image-alt" in {one["id"] for one in Axe().run(page).response["violations"]}, "axe finds nothing at all"
        for path in site.addresses:
            page.goto(path)
            report = Axe().run(page, options={"resultTypes": ["violations"]})
            violations = [
                f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
                for one in report.response["violations"]
            ]
            if violations:
                found[path] = violations
    assert found == {}
    assert watched.elsewhere == []


def test_pages_fit_a_phone_and_break_no_rule_of_their_own(browser: Browser, site: Site) -> None:
    with opened(browser, site.base, width=PHONE) as (page, watched):
        for path in site.addresses:
            answer = page.goto(path)
            assert answer is not None
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, path
            wide = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
            assert page.evaluate(wide + ".map(e => e.ariaLabel)") == [], path
            unseen = "[...document.querySelectorAll('label, select, button')].filter(e => !e.offsetParent)"
            assert page.evaluate(unseen + ".map(e => e.textContent)") == [], path
            watched.complaints = [
                one
                for one in watched.complaints
                # The page of an error is an error to the console.
                if not (answer.status >= 400 and "status of" in one)
            ]
    assert [one for one in watched.complaints if "Content Security Policy" in one or "Error" in one] == []
    assert watched.elsewhere == []


def test_a_first_view_weighs_little(browser: Browser, site: Site) -> None:
    for path in ("/", f"/papers/{TINY}", f"/reproductions/{site.world.runs['running']}"):
        with opened(browser, site.base) as (page, _):
            page.goto(path, wait_until="load")
            timing = "performance.getEntries().filter(e => 'transferSize' in e).map(e => [e.name, e.transferSize])"
            weights = {name: size for name, size in page.evaluate(timing) if "/v1/" not in name}
            assert any(name.endswith(".css") for name in weights)
            assert 5_000 < sum(weights.values()) < MOST_BYTES, weights


def test_the_documentation_runs_its_own_scripts_and_no_others(browser: Browser, site: Site) -> None:
    with opened(browser, site.base) as (page, watched):
        page.goto("/docs")
        page.locator(".opblock").first.wait_for()
        lock = ".authorization__btn"  # the summary's; open until there is a key
        expect(page.locator(".opblock-get", has_text="/v1/drivers/{slug}").locator(lock)).to_have_count(0)
        label = "authorization button unlocked"
        expect(page.locator(".opblock-put").locator(lock)).to_have_attribute("aria-label", label)
        page.locator("button.authorize").first.click()
        page.locator(".auth-container input").first.wait_for()
    assert (watched.complaints, watched.elsewhere) == ([], [])


def test_everything_works_without_javascript(browser: Browser, site: Site) -> None:
    with opened(browser, site.base, scripts=False) as (page, _):
        page.goto("/")
        page.get_by_label("Search").fill(PAPER)
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("listitem").filter(has_text=PAPER)).to_have_count(1)
        page.goto(f"/papers/{TINY}")
        page.get_by_label("Search ids and texts").fill("hypothesis number 2")
        page.get_by_role("button", name="Search").click()
        expect(page.locator(".example")).to_have_count(1)
        page.goto(f"/papers/{TINY}")
        page.get_by_role("button", name="Compare A with B").click()
        expect(page.get_by_role("heading", name="Two verdicts, item by item")).to_be_visible()
        page.goto(f"/papers/{TINY}")
        page.get_by_label("API key").fill("pv_000000000000.nobodys")
        page.get_by_label("Examples (").fill("7")
        page.get_by_role("button", name="Ask for a reproduction").click()
        expect(page.get_by_role("alert")).to_contain_text("The API key is not valid")
        expect(page.get_by_label("Examples (")).to_have_value("7")
        expect(page.get_by_label("API key")).to_have_value("")
        page.get_by_label("API key").fill(site.key)
        page.get_by_role("button", name="Ask for a reproduction").click()
        expect(page).to_have_url(re.compile("/reproductions/"))
        expect(page.get_by_text("It waits for a worker.")).to_be_visible()
        assert page.context.cookies() == []


def test_with_javascript_a_refusal_keeps_what_was_typed(browser: Browser, site: Site) -> None:
    with opened(browser, site.base) as (page, _):
        page.goto(f"/papers/{TINY}")
        page.get_by_label("Examples (").fill("99")
        page.get_by_label("API key").fill(site.key)
        page.get_by_role("button", name="Ask for a reproduction").click()
        expect(page.get_by_role("alert")).to_contain_text("The split has 12 examples")
        expect(page.get_by_label("API key")).to_have_value(site.key)
        page.get_by_label("Examples (").fill("6")
        page.get_by_role("button", name="Ask for a reproduction").click()
        expect(page).to_have_url(re.compile("/reproductions/"))
        expect(page.get_by_role("heading", name="Queued")).to_be_visible()
        assert page.context.cookies() == []
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_the_keyboard_reaches_the_content_first(browser: Browser, site: Site) -> None:
    with opened(browser, site.base) as (page, _):
        page.goto("/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_label("Search")).to_be_focused()
        page.keyboard.type("draft")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"q=draft"))
        assert "venue=" not in page.url


PLOTTER = """globalThis.uPlot = class {
  constructor(options, data) { globalThis.drawn = { options, data }; }
  setLegend() {}
  destroy() {}
};"""
"""In the place of the chart library: keeps what it is given."""


def watch_a_run(page: Page, site: Site) -> None:
    """Have a run go on while its page is open, from its queue to its verdict."""
    ask(site.database, site.world.tiny, force=True, priority=0)
    lease = take(site.database, "worker-of-the-browser")
    page.goto(f"/reproductions/{lease.reproduction_id}")
    expect(page.locator("[data-livestate]")).to_contain_text("Live")
    for rows in (range(5), range(8), range(12)):
        beat(site.database, lease, predictions(rows, wrong=[1, 2, 7]))
        expect(page.locator('[data-f="done"]')).to_have_text(str(len(rows)))
    expect(page.locator('[data-f="value"]')).to_have_text(re.compile("75.00"))
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    with site.database.unit_of_work() as session:
        verdict = conclude_run(session, lease, facts()).id
    expect(page.get_by_role("link", name="The verdict")).to_have_attribute("href", f"/verdicts/{verdict}")
    expect(page).to_have_title(re.compile("Succeeded"))
    # Whoever comes late sees how it went, too.
    page.reload()
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    assert json.loads(page.locator("[data-chart]").get_attribute("data-points") or "")[0] == [5, 8, 12]


def test_a_curve_is_not_flattened_by_its_beginning(browser: Browser, site: Site) -> None:
    run_id = ask(site.database, site.world.tiny, force=True)
    with site.database.unit_of_work() as session:
        for done, correct in ((20, 4), (500, 380), (1_000, 752), (4_000, 3_010), (10_000, 7_520)):
            mark(session, run_id, done=done, correct=correct, total=10_000)
    with opened(browser, site.base) as (page, _):
        page.route("**/uPlot.iife*", lambda route: route.fulfill(body=PLOTTER, content_type="text/javascript"))
        page.goto(f"/reproductions/{run_id}")
        page.wait_for_function("globalThis.drawn")
        lows, highs = page.evaluate("drawn.data.slice(2)")
        axis = "drawn.options.scales.y.range({{ series: [{{ idxs: [{}, {}] }}] }}, {}, {})"
        whole = page.evaluate(axis.format(0, 4, min(lows), max(highs)))
        beginning = page.evaluate(axis.format(0, 1, min(lows), max(highs)))
        lines = [page.evaluate(f"drawn.options.series[{number}].stroke") for number in (1, 2, 3)]
        margin = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--edge').trim()")
    assert min(lows) < whole[0] == min(lows[2:])
    assert beginning[0] == min(lows)
    assert len({*lines, margin}) == 3


def test_a_run_is_watched_to_its_verdict(browser: Browser, site: Site) -> None:
    with opened(browser, site.base) as (page, _):
        watch_a_run(page, site)


def test_where_no_stream_comes_through_the_page_asks(browser: Browser, site: Site) -> None:
    with opened(browser, site.base) as (page, _):
        page.route("**/events*", lambda route: route.fulfill(status=502))
        watch_a_run(page, site)


def test_the_queue_shows_what_comes_and_goes(browser: Browser, site: Site) -> None:
    with opened(browser, site.base) as (page, _):
        page.goto("/queue")
        expect(page.locator("[data-livestate]")).to_contain_text("Live")
        ask(site.database, site.world.tiny, force=True, priority=0)
        lease = take(site.database, "worker-of-the-queue")
        beat(site.database, lease, predictions(range(6)))
        row = page.locator(f'[data-run="{lease.reproduction_id}"]')
        expect(row.locator('[data-f="done"]')).to_have_text("6")
        beat(site.database, lease, predictions(range(12)))
        expect(row.locator('[data-f="done"]')).to_have_text("12")
        with site.database.unit_of_work() as session:
            conclude_run(session, lease, facts())
        expect(row).to_have_count(0)
        expect(page.locator(f'[data-region="ended"] a[href="/reproductions/{lease.reproduction_id}"]')).to_be_visible()
