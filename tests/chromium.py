"""A real browser for the tests of pages: Debian's Chromium, driven by Selenium.

Selenium and not Playwright: it drives the browser that the system keeps up to date,
through the driver that comes with it, and downloads none of its own.
"""

import base64
import contextlib
import functools
import http.server
import io
import json
import os
import shutil
import threading

import numpy as np
import PIL.Image
import pytest

SECONDS = 60


def require(*programs):
    """Skip where a program is absent, unless CI says that it must not be."""
    for program in programs:
        if shutil.which(program) is None:
            message = (
                f"{program} is not installed: see .ci/run and export/web/README.md"
            )
            if os.environ.get("CYCLEGAN_TF_ALL_TESTS"):
                pytest.fail(message)
            pytest.skip(message)


@contextlib.contextmanager
def browser(*arguments):
    """Start a headless Chromium; yield its Selenium driver."""
    require("chromium", "chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
        "--force-color-profile=srgb",
        *(arguments or ["--disable-gpu"]),
    ):
        options.add_argument(argument)
    # The path of the driver keeps Selenium from looking for one on the network.
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options, service)
    try:
        driver.set_script_timeout(SECONDS)
        yield driver
    finally:
        driver.quit()


@contextlib.contextmanager
def serving(folder):
    """Serve the files of a folder on this computer; yield the address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def wait_for(driver, condition, what):
    """Wait until `condition()` is true; its value."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(driver, SECONDS).until(lambda _: condition(), what)


@contextlib.contextmanager
def screen(driver, scheme, width):
    """Show pages as on a screen of that width, set to `"light"` or `"dark"`.

    A narrow screen is a phone's, which obeys what a page says of its viewport.
    """
    feature = {"name": "prefers-color-scheme", "value": scheme}
    size = {
        "width": width,
        "height": 800,
        "deviceScaleFactor": 1,
        "mobile": width < 500,
    }
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def brightness(driver, selector, name):
    """Return how bright a color of an element's style is, from 0 to 255."""
    script = (
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    )
    color = driver.execute_script(script, selector, name)
    # Any other notation may be transparent, which is neither bright nor dark.
    assert color.startswith("rgb("), f"{name} of {selector} is {color}"
    return np.mean([float(value) for value in color[4:-1].split(",")])


def page_width(driver):
    """Return the pixels that a page needs without a horizontal scroll bar."""
    return driver.execute_script("return document.documentElement.scrollWidth")


def right_end(driver):
    """Return where the elements of a page end, also where the page cuts them off."""
    return driver.execute_script(
        "return Math.max(...[...document.querySelectorAll('body *')]"
        ".map((element) => element.getBoundingClientRect().right))"
    )


def requested(driver):
    """List the addresses that the browser has asked for over the network."""
    messages = [
        json.loads(entry["message"])["message"]
        for entry in driver.get_log("performance")
    ]
    addresses = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in addresses if not url.startswith(("data:", "blob:"))]


def pixels(data_url):
    """Decode an image that the browser gave as a data: address."""
    file = io.BytesIO(base64.b64decode(data_url.partition(",")[2]))
    return np.asarray(PIL.Image.open(file).convert("RGB"))
