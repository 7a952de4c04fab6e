"""A real browser: Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--no-sandbox",  # the tests may run as root, and visit nothing but themselves
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS: Final = 60_000


def browser_path() -> str:
    """Where the browser is; skips the test where there is none."""
    named = os.environ.get("VERDICTS_TEST_BROWSER")
    found = next((path for name in ([named] if named else _NAMES) if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine; deploy/browser.sh installs one where it can")
    return found


@contextmanager
def started() -> Iterator[Browser]:
    """The browser, closed at the end."""
    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS), timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """What a page complained of, and what it asked other hosts for."""

    def __init__(self, page: Page, base: str) -> None:
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", lambda one: self.complaints.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda one: self.complaints.append(str(one)))
        page.on("request", lambda one: self.elsewhere.append(one.url) if not one.url.startswith(base) else None)


@contextmanager
def opened(
    browser: Browser, base: str, *, width: int = 1280, dark: bool = False, scripts: bool = True
) -> Iterator[tuple[Page, Watched]]:
    """A page of a fresh profile."""
    context = browser.new_context(
        base_url=base,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        page = context.new_page()
        yield page, Watched(page, base)
    finally:
        context.close()
