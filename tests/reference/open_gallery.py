"""Opens the page of `aaclip report` in headless Chromium, uses it as a person would, and takes pictures of it.

    aaclip report night
    python3 tests/reference/open_gallery.py night/report.html target/pictures

Real key presses and pointer movements over the browser's own protocol. Fails when the console has a message, anything
but files is requested, the order, a filter, a key, the overlay, the histogram or the threshold does not do what it
should, the document grows with the number of pictures, or the page is wider than a narrow window.
Then look at the pictures. Standard library only.
"""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time

WIDE, NARROW = (1400, 900), (400, 860)
MOST_NODES = 4000
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Escape": 27, "Home": 36,
        "End": 35, "PageDown": 34, "PageUp": 33}  # fmt: skip


class Browser:
    """One page in a browser without a host it could reach, but for `reach`."""

    def __init__(self, program, profile, reach=None):
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()

        def descriptors():
            # The protocol's descriptors are 3 and 4, which the pipes may occupy the other way round.
            inward, outward = os.dup(to_browser), os.dup(from_browser)
            os.dup2(inward, 3)
            os.dup2(outward, 4)

        hosts = "MAP * ~NOTFOUND" + (f", EXCLUDE {reach}" if reach else "")
        command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            f"--user-data-dir={profile}", f"--host-resolver-rules={hosts}", "--remote-debugging-pipe",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, preexec_fn=descriptors, close_fds=False, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.buffer, self.events, self.session = 0, b"", [], None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self):
        with contextlib.suppress(OSError, TimeoutError):
            self.session = None
            self.send("Browser.close")
        self.process.wait(20)

    def receive(self, timeout):
        while b"\0" not in self.buffer:
            if not select.select([self.read_end], [], [], timeout)[0]:
                return None
            data = os.read(self.read_end, 1 << 20)
            if not data:
                sys.exit("the browser ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def send(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while (answer := self.receive(60)) is not None:
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)
        raise TimeoutError(method)

    def js(self, text):
        result = self.send("Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{text}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def settle(self):
        """Waits for two frames, and for loading and fading to end."""
        self.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 180))))")

    def window(self, size, dark=False):
        self.send("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
        scheme = "dark" if dark else "light"
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.settle()

    def open(self, url):
        started = time.monotonic()
        self.send("Page.navigate", url=url)
        while self.js("document.readyState + location.href.startsWith('file:')") != "completetrue":
            time.sleep(0.02)
        self.settle()
        return time.monotonic() - started

    def key(self, key):
        # Only letters and digits have their own number as a key: 46 is Delete, not a full stop.
        code = KEYS.get(key, ord(key[0].upper()) if key.isalnum() else 0)
        text = {} if key in KEYS and key != "Enter" else {"text": "\r" if key == "Enter" else key}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code,
                      **(text if kind == "keyDown" else {}))  # fmt: skip
        self.settle()

    def type(self, text):
        for letter in text:
            self.key(letter)

    def mouse(self, kind, x, y, **more):
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def point(self, x, y):
        self.mouse("mouseMoved", x, y)
        self.settle()

    def drag(self, start, end):
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, button="left", clickCount=1)
        for share in (0.3, 0.6, 1):
            self.mouse("mouseMoved", start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]),
                       button="left", buttons=1)  # fmt: skip
        self.mouse("mouseReleased", *end, button="left", clickCount=1)
        self.settle()

    def click(self, selector):
        box = self.box(selector)
        self.drag((box[0] + box[2] / 2, box[1] + box[3] / 2), (box[0] + box[2] / 2, box[1] + box[3] / 2))

    def box(self, selector):
        return self.js(f"""(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
                       return [b.x, b.y, b.width, b.height]; }})()""")

    def picture(self, path):
        data = self.send("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))
        print(path)

    def loaded(self):
        """Waits until the pictures in view are there."""
        for _ in range(100):
            if self.js("Array.from(document.images).every((i) => i.complete || !i.getAttribute('src') || i.loading === 'lazy'"
                       " && (i.getBoundingClientRect().top > innerHeight || i.getBoundingClientRect().bottom < 0))"):
                break
            time.sleep(0.05)
        self.settle()

    def complaints(self):
        """Console messages, errors, and addresses that are not files."""
        found = []
        self.js("1")
        for event in self.events:
            parameters = event.get("params", {})
            match event.get("method"):
                case "Runtime.consoleAPICalled":
                    found.append(f"the console says {parameters['args']}")
                case "Runtime.exceptionThrown":
                    found.append(f"an error: {parameters['exceptionDetails']}")
                case "Log.entryAdded":
                    found.append(f"the log says {parameters['entry']['text']} {parameters['entry'].get('url', '')}")
                case "Network.requestWillBeSent":
                    url = parameters["request"]["url"]
                    if not url.startswith(("file:", "data:", "about:")):
                        found.append(f"the page asks for {url}")
                case "Page.javascriptDialogOpening":
                    found.append(f"a dialog: {parameters['message']}")
        return found


class Check:
    """Uses the page and records every deviation."""

    def __init__(self, browser):
        self.browser, self.faults = browser, []

    def expect(self, what, right):
        if not right:
            self.faults.append(what)

    def js(self, text):
        return self.browser.js(text)

    def in_view(self):
        """Indices of the tiles in the document, in order."""
        return self.js("Array.from(document.querySelectorAll('#grid li'), (li) => Number(li.dataset.at))")

    def shown(self):
        return self.js("grid.shown.length")

    def order(self, key, by):
        self.js(f"byId('sort').value = {json.dumps(key)}; byId('sort').dispatchEvent(new Event('change'))")
        self.browser.settle()
        self.expect(f"the order {key} is wrong", self.js(
            f"grid.shown.every((p, i) => !i || p.failed || ({by})(grid.shown[i - 1], p))"))  # fmt: skip

    def orders(self):
        self.order("lowest", "(a, b) => a.score <= b.score")
        self.order("name", "(a, b) => collator.compare(a.name, b.name) <= 0")
        self.order("regions", "(a, b) => a.regionCount >= b.regionCount")
        self.order("highest", "(a, b) => a.score >= b.score")
        self.expect("the tiles are not in order", self.in_view() == sorted(self.in_view()))

    def filters(self):
        b = self.browser
        total = self.shown()
        counted = 0
        for key, kind in (("2", "anomalous"), ("3", "normal"), ("4", "failed")):
            b.key(key)
            self.expect(f"{kind} shows others", self.js(f"grid.shown.every((p) => verdict(p) === '{kind}')"))
            said = self.js(f"document.querySelector('[data-show={kind}] .figure').textContent.replace(/,/g, '')")
            # Without a threshold there are no verdicts; a page of the highest scores counts more than it shows.
            unknown = said == "\u2013" or self.js("rest.length > 0")
            self.expect(f"{kind}: {said} said, {self.shown()} shown", unknown or said == str(self.shown()))
            counted += self.shown()
        b.key("1")
        counted += self.js("grid.shown.filter((p) => verdict(p) === 'scored').length")
        self.expect("verdicts do not add up", counted == total == self.shown())
        folder = self.js("byId('folder').options[byId('folder').options.length - 1].value")
        if folder:
            self.js(f"byId('folder').value = {json.dumps(folder)}; byId('folder').dispatchEvent(new Event('change'))")
            b.settle()
            self.expect("the folder shows others", 0 < self.shown() and self.js(
                f"grid.shown.every((p) => (p.folder + '/').startsWith({json.dumps(folder + '/')}))"))  # fmt: skip
            self.js("byId('folder').value = ''; byId('folder').dispatchEvent(new Event('change'))")
        word = self.js("pictures[0].file.slice(0, 3)")
        b.key("/")
        b.type(word)
        self.expect("the search shows others", 0 < self.shown() <= total and self.js(
            f"grid.shown.every((p) => p.lower.includes({json.dumps(word.lower())}))"))  # fmt: skip
        b.type("\u2603")
        self.expect("nothing is found, and that is not said", self.js("!byId('empty').hidden") and self.shown() == 0)
        b.key("Escape")
        self.expect("Escape does not clear the search", self.shown() == total)

    def keyboard(self):
        b = self.browser
        self.js("scrollTo(0, 0)")
        b.key("Home")
        b.key("ArrowRight")
        b.key("ArrowDown")
        active = self.js("grid.active")
        self.expect("arrows do not move", active == self.js("1 + grid.columns"))
        self.expect("the focus is elsewhere", self.js("document.activeElement.closest('li').dataset.at") == str(active))
        b.key("Enter")
        self.expect("Enter does not open", self.js("byId('viewer').open"))
        b.key("ArrowRight")
        self.expect("the next picture is not shown", self.js("viewer.picture === grid.shown[grid.active]")
                    and self.js("grid.active") == active + 1)  # fmt: skip
        before = self.js("viewer.boxes")
        b.key("b")
        self.expect("B does nothing", self.js("viewer.boxes") != before)
        b.key("b")
        b.key("s")
        self.expect("S does nothing", self.js("viewer.split"))
        b.key("s")
        if self.js("Boolean(scale.map)"):
            shown = "byId('legend').getAttribute('aria-label') + byId('opacity').value"
            before = self.js(shown)
            b.key("[")
            b.key("-")
            self.expect("[ and - do nothing", self.js(shown) != before and self.js("scale.level < scale.map.good"))
            b.key("ArrowRight")
            self.expect("the scale is another at the next picture", self.js("scale.level !== null && scale.opacity < 0.8"))
            b.key("ArrowLeft")
            b.key("0")
            self.expect("0 does not restore the colours", self.js(shown) == before)
            self.expect("the map has no colours", "map-colours" in self.js("getComputedStyle(viewer.above).filter"))
        b.key("Escape")
        self.expect("Escape does not close", not self.js("byId('viewer').open"))
        self.expect("the focus is lost", self.js("Number(document.activeElement.closest('li')?.dataset.at)") == active + 1)
        b.key("?")
        self.expect("there is no help", self.js("byId('help').open"))
        b.key("Escape")
        b.key("End")
        self.expect("End does not go to the end", self.js("grid.active") == self.shown() - 1)
        b.key("Home")
        self.js("document.activeElement.blur(); scrollTo(0, 0)")

    def overlay(self):
        b = self.browser
        self.js("document.querySelector('#tools').scrollIntoView()")
        b.settle()
        at = self.js("""Number(Array.from(document.querySelectorAll('#grid li')).find((li) =>
            li.querySelector('.above'))?.dataset.at ?? -1)""")
        if at < 0:
            print("no tile has an overlay: not checked")
            return
        selector = f"#grid li[data-at='{at}'] .frame"
        self.js(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        b.point(1, 1)
        opacity = f"Number(getComputedStyle(document.querySelector({json.dumps(selector + ' .above')})).opacity)"
        self.expect("the overlay does not show at first", self.js(opacity) == 1)
        box = b.box(selector)
        b.point(box[0] + box[2] / 2, box[1] + box[3] / 2)
        self.expect("with overlays on, pointing at a tile does not take it away", self.js(opacity) == 0)
        b.key("o")
        self.expect("pointing at a tile shows no overlay", self.js(opacity) == 1)
        b.point(1, 1)
        self.expect("O does not turn overlays off", self.js(opacity) == 0)
        b.key("o")
        self.js("scrollTo(0, 0)")

    def histogram(self):
        b = self.browser
        self.js("scrollTo(0, 0)")
        total, x, y, _, height = self.shown(), *b.box("#histogram svg")
        left = self.js("scoreToX(threshold() ?? (chart.low + chart.high) / 2)")
        middle = y + height / 2
        right = self.js("chart.width - chart.right")
        b.drag((x + left + 20, middle), (x + right, middle))
        low = self.js("choice.from")
        expected = self.js("pictures.filter((p) => p.score >= choice.from && p.score <= choice.to).length")
        self.expect(f"a range of scores shows {self.shown()}, not {expected}",
                    low is not None and 0 < self.shown() == expected < total)  # fmt: skip
        b.key("Escape")
        self.expect("Escape does not clear the range", self.shown() == total)
        if self.js("threshold()") is None:
            return
        before = self.js("document.querySelector('[data-show=anomalous] .figure').textContent")
        b.drag((x + left, y + 8), (x + self.js("chart.left") + 2, y + 8))
        after = self.js("document.querySelector('[data-show=anomalous] .figure').textContent")
        tried = self.js("choice.threshold")
        expected = self.js("grouped.format(pictures.filter((p) => !p.failed && p.score >= choice.threshold).length)")
        self.expect(f"the threshold {tried} changes nothing: {before}, {after}", tried is not None and before != after)
        self.expect(f"at {tried} there are {expected}, not {after}", after == expected or self.js("rest.length > 0"))
        b.key("ArrowLeft")
        self.expect("the threshold's line takes no keys", self.js("choice.threshold") < tried)
        b.click("#reset")
        self.expect("the run's threshold does not come back",
                    self.js("document.querySelector('[data-show=anomalous] .figure').textContent") == before)  # fmt: skip

    def scrolling(self):
        """Through everything; the document must not grow, and every tile in view must be there."""
        most, times = 0, []
        self.js("scrollTo(0, 0)")
        height = self.js("document.documentElement.scrollHeight")
        steps = 40
        for step in range(steps + 1):
            took = self.js(f"""new Promise((done) => {{ const start = performance.now();
                scrollTo(0, {height * step // steps}); requestAnimationFrame(() => {{ drawGrid();
                requestAnimationFrame(() => done(performance.now() - start)); }}); }})""")
            times.append(took)
            most = max(most, self.js("document.querySelectorAll('*').length"))
        self.browser.settle()
        self.expect("the last picture is not in view at the end", self.js("grid.tiles.has(grid.shown.length - 1)"))
        self.expect(f"the document has {most} elements", most < MOST_NODES)
        broken = self.js("""Array.from(document.querySelectorAll('#grid img')).filter((i) =>
            i.complete && !i.naturalWidth).length""")
        self.expect(f"{broken} thumbnails are broken", broken == 0)
        self.js("scrollTo(0, 0)")
        return most, sorted(times)

    def narrow(self):
        self.browser.window(NARROW)
        width = self.js("document.documentElement.scrollWidth")
        self.expect(f"the page is {width} pixels wide in a window of {NARROW[0]}", width <= NARROW[0])
        self.browser.window(WIDE)


def photograph(browser, out):
    out.mkdir(parents=True, exist_ok=True)
    for name, size in (("wide", WIDE), ("narrow", NARROW)):
        for dark in (False, True):
            ending = f"{name}{'-dark' if dark else ''}.png"
            browser.window(size, dark)
            browser.js("document.activeElement.blur(); scrollTo(0, 0)")
            browser.point(1, 1)
            browser.loaded()
            browser.picture(out / f"page-{ending}")
            browser.js("grid.active = 2; openViewer()")
            browser.loaded()
            browser.picture(out / f"viewer-{ending}")
            browser.key("Escape")
        browser.window(size)
        browser.js("scrollTo(0, byId('tools').offsetTop)")
        browser.key("o")
        browser.loaded()
        browser.picture(out / f"overlays-{name}.png")
        browser.key("o")
        browser.key("4")
        browser.picture(out / f"failed-{name}.png")
        browser.key("1")
        browser.key("?")
        browser.picture(out / f"help-{name}.png")
        browser.key("Escape")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path, help="the HTML file")
    parser.add_argument("out", nargs="?", type=pathlib.Path, help="folder for the pictures")
    parser.add_argument("--chromium", default="chromium", help="the browser's program")
    parser.add_argument("--only-open", action="store_true", help="no more than opening it and looking at every picture")
    arguments = parser.parse_args()
    page = arguments.page.resolve()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(arguments.chromium, folder)
        try:
            browser.window(WIDE)
            seconds = browser.open(page.as_uri())
            check = Check(browser)
            script = browser.js("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
            if arguments.only_open:
                for at in range(check.shown()):
                    browser.js(f"grid.active = {at}; openViewer()")
                    browser.settle()
                browser.key("Escape")
            else:
                for part in (check.orders, check.filters, check.keyboard, check.overlay, check.histogram, check.narrow):
                    part()
            most, times = check.scrolling()
            if arguments.out:
                photograph(browser, arguments.out.resolve())
            # A page that was moved away from its pictures says so on the console.
            moved = "ERR_FILE_NOT_FOUND file:" if arguments.only_open else None
            check.faults += [c for c in browser.complaints() if not (moved and moved in c)]
            check.expect("the title has changed", "hacked" not in browser.js("document.title"))
            heap = browser.js("performance.memory.usedJSHeapSize") / 1e6
            print(f"{page.name}: {len(page.read_bytes()) / 1e6:.2f} MB, {browser.js('pictures.length')} pictures, ready after "
                  f"{script / 1e3:.2f} s (drawn {seconds:.2f} s), at most {most} elements, a jump takes "
                  f"{times[len(times) // 2]:.0f} ms (slowest {times[-1]:.0f}), {heap:.0f} MB of script memory, {len(check.faults)} faults")  # fmt: skip
            for fault in check.faults:
                print(f"FAULT {fault}")
        finally:
            browser.close()
    return len(check.faults)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
