"""Uses the page of `aaclip serve` in headless Chromium as a person would, and takes pictures of it.

    cargo build
    python3 tests/reference/open_server.py target/debug/aaclip target/pictures

Fails when a picture gets no result, when the result of one picture stays under the error of the next, or when the
console has a message but for the refusal that is asked for. Standard library only.
"""

import argparse
import base64
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from open_gallery import Browser

STATE = "({shown: !byId('result').hidden, status: byId('status').textContent, bad: byId('status').classList.contains('bad')})"


def png(width, height):
    """A picture with a bright square."""

    def pixel(x, y):
        return (250, 240, 80) if 20 <= x < 40 and 20 <= y < 40 else (90, 100, 110 + x % 8)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def choose(browser, path):
    """Chooses a file, as the button does; returns the content of the page afterwards."""
    root = browser.send("DOM.getDocument")["root"]["nodeId"]
    node = browser.send("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    browser.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])
    until = time.monotonic() + 60
    while time.monotonic() < until:
        browser.settle()
        state = browser.js(STATE)
        if state["shown"] and not state["status"] or state["bad"]:
            return state
    sys.exit(f"{path.name}: the page does not come to an end: {state}")


def check(browser, address, at, out):
    browser.send("Page.navigate", url=address)
    while browser.js("document.readyState + location.protocol") != "completehttp:":
        time.sleep(0.02)
    good, bad = at / "good.png", at / "bad.png"
    good.write_bytes(png(64, 48))
    bad.write_bytes(b"no picture")
    problems = []
    for step, (path, shown) in enumerate([(good, True), (bad, False), (good, True)]):
        state = choose(browser, path)
        if state["shown"] != shown or state["bad"] == shown:
            problems.append(f"{path.name}, picture {step + 1}: {state}")
        picture = browser.send("Page.captureScreenshot", format="png")["data"]
        (out / f"server-{step + 1}.png").write_bytes(base64.b64decode(picture))
    said = [e["params"] for e in browser.events if e["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")]
    return problems + [f"the console says {message}" for message in said]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the binary")
    parser.add_argument("out", type=pathlib.Path, help="folder for the pictures")
    parser.add_argument("--chromium", default="chromium")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="server") as at:
        at = pathlib.Path(at)
        server = subprocess.Popen([args.program, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().removeprefix("listening on ").strip()
            browser = Browser(args.chromium, at / "profile", reach="127.0.0.1")
            problems = check(browser, address, at, args.out)
            browser.close()
        finally:
            server.terminate()
            server.wait(40)
    print("\n".join(problems) or "3 pictures, the second of which is none: the page shows what it should")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
