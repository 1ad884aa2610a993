"""A real Chromium, driven by Selenium, for tests of pages; a test skips where there is none."""

import base64
import json
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

CHROMIUM, DRIVER = ("chromium", "chromium-browser"), ("chromedriver",)
#: Width and height of a phone and of a desk.
PHONE, DESK = (390, 844), (1440, 900)


def _program(names):
    return next((path for path in map(shutil.which, names) if path), None)


@contextmanager
def chromium():
    """A browser without a window. Skips the test where Chromium, its driver or Selenium is missing."""
    browser, driver = _program(CHROMIUM), _program(DRIVER)
    if not browser or not driver:
        pytest.skip("needs Chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs Selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    quiet = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"]
    quiet.append("--force-prefers-reduced-motion")  # a page that scrolls smoothly moves what is to be clicked
    if os.geteuid() == 0:
        quiet.append("--no-sandbox")  # Chromium's sandbox refuses to run as root
    for argument in quiet:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(driver, log_output=subprocess.DEVNULL)
    found = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(found)
    finally:
        found.quit()


class Browser:
    """One page in a browser, and what it asked for and complained about."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path, size=DESK):
        """Open a file at a size, whose width below 600 pixels is that of a phone."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self._drain()
        self.driver.get(path.resolve().as_uri())
        self.settle()

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def run(self, script, *arguments):
        """The value of some JavaScript."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        """The elements that a CSS selector finds."""
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        """The first of them."""
        return self.driver.find_element("css selector", selector)

    def errors(self):
        """What the console says since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """The addresses that the page asked for since it was opened, its own and data it holds left out."""
        asked = []
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                asked.append(event["params"]["request"]["url"])
        own = self.run("return location.href.split('#')[0]")
        return [url for url in asked if url.split("#")[0] != own and not url.startswith("data:")]

    @property
    def size(self):
        """Width and height of the whole page in pixels."""
        return tuple(self.run("const d = document.documentElement; return [d.scrollWidth, d.scrollHeight]"))

    def picture(self, path):
        """Write a picture of the whole page."""
        found = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
        path.write_bytes(base64.b64decode(found["data"]))

    def _drain(self):
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
