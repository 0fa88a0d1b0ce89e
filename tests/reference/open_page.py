"""Opens an evaluation page in headless Chromium, checks it and takes pictures of it.

    AACLIP_PAGE_OUT=target/page.html cargo test --test library page
    python3 tests/reference/open_page.py target/page.html target/pictures
    python3 tests/reference/open_page.py --self-test

Fails when a section is missing from the DOM, the console has a message, anything but the page itself is
requested, the page is wider than a narrow window, or a table does not sort.
Then look at the pictures. Standard library only.
"""

import argparse
import html
import json
import pathlib
import re
import subprocess
import sys
import tempfile

SECTIONS = ["metrics", "classes", "false-positives", "false-negatives"]
NARROW = 420
LOOKS = {  # name: (width, height, dark)
    "wide": (1600, 5200, False),
    "desktop": (1400, 3000, False),
    "narrow": (NARROW, 6000, False),
    "dark": (1400, 3000, True),
    "narrow-dark": (NARROW, 3000, True),
}


def chromium(program, url, folder, *flags):
    """Runs the browser without a host it could reach; returns its output, console lines and requested addresses."""
    log = folder / "requests.json"
    log.unlink(missing_ok=True)
    command = [
        program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-default-apps", "--disable-extensions", f"--user-data-dir={folder / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0", f"--log-net-log={log}",
        "--virtual-time-budget=4000", *flags, url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        sys.exit(f"{program} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console, requested(log)


def requested(log):
    """The addresses that a page asked the network for, from the browser's own log; the browser asks for some
    of its own accord, which have no origin."""
    text = log.read_text(errors="replace").rstrip()
    try:
        events = json.loads(text)["events"]
    except json.JSONDecodeError:  # a browser that was stopped leaves the list open
        events = json.loads(text.rstrip(",") + "]}")["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    return sorted({params["url"] for params in asked if params["initiator"] != "not an origin"})


PROBE = """
const page = document.querySelector("iframe").contentDocument;
const put = (name, value) => { document.body.dataset[name] = value; };
put("wide", page.documentElement.scrollWidth);
page.querySelector("table.sortable thead th:nth-child(2) button")?.click();
put("column", Array.from(page.querySelectorAll("table.sortable")[0].querySelectorAll("tbody td:nth-child(2)"),
                         (cell) => cell.textContent).join(" "));
"""


def probe(program, page, folder):
    """How wide the page is in a window `NARROW` wide, and the first table's second column after a click on its
    head. In a frame, for a window has a least width of its own."""
    frame = folder / "frame.html"
    frame.write_text(
        f"""<!DOCTYPE html><body><iframe src="{page.as_uri()}" style="width:{NARROW}px;height:900px;border:0">
        </iframe><script>document.querySelector("iframe").onload = () => {{ {PROBE} }};</script></body>"""
    )
    dom, _, _ = chromium(program, frame.as_uri(), folder, "--allow-file-access-from-files", "--dump-dom")
    wide, column = re.search(r'data-wide="(\d+)"', dom), re.search(r'data-column="([^"]*)"', dom)
    return int(wide[1]) if wide else None, column[1].split() if column else None


def is_descending(column):
    """Whether the figures fall from first to last; values that are not figures come last."""
    figures = [float(cell) for cell in column if re.fullmatch(r"-?[\d.]+", cell)]
    return figures == sorted(figures, reverse=True)


def faults(program, page, folder):
    """What is wrong with the page, in words."""
    dom, console, addresses = chromium(program, page.as_uri(), folder, "--dump-dom")
    found = [f"no section #{name}" for name in SECTIONS if not re.search(rf'<section id="{name}">\s*<h2>', dom)]
    found += [f"no <{tag}>" for tag in ("h1", "nav", "main", "footer") if not re.search(rf"<{tag}[ >]", dom)]
    tables, figures = dom.count('<table class="sortable">'), dom.count("<figure>")
    if tables == 0:
        found.append("no table of figures")
    elif "<button" not in dom:
        found.append("the script that sorts tables did not run")
    if dom.count('<svg class="chart"') + dom.count('<div class="pair">') != figures:
        found.append("a figure is neither a chart nor a pair of pictures")
    found += [f"the console says {line}" for line in console]
    found += [f"the page asks for {address[:200]}" for address in addresses]
    # A file beside the page would be read without the network.
    found += [f"the page names {to[:80]}" for to in re.findall(r'\s(?:src|href)="([^"]*)"', dom)
              if not to.startswith(("data:", "#"))]  # fmt: skip
    width, column = probe(program, page, folder)
    if column is None or not is_descending(column):
        found.append(f"a click on a column does not sort it: {column}")
    if width != NARROW:
        found.append(f"the page is {width} pixels wide in a window of {NARROW}")
    title = re.search(r"<title>(.*?)</title>", dom, re.S)
    print(f"{page.name}: {html.unescape(title[1]) if title else '?'!r}, {len(page.read_bytes())} bytes, "
          f"{tables} tables, {figures} figures, {len(found)} faults")  # fmt: skip
    return found


def photograph(program, page, folder, out):
    out.mkdir(parents=True, exist_ok=True)
    for name, (width, height, dark) in LOOKS.items():
        picture = out / f"{name}.png"
        flags = [f"--screenshot={picture}", f"--window-size={width},{height}"]
        if dark:
            flags.append("--blink-settings=preferredColorScheme=0")
        chromium(program, page.as_uri(), folder, *flags)
        if not picture.is_file():
            sys.exit(f"{program} wrote no {picture}")
        print(picture)
    printed = out / "printed.pdf"
    chromium(program, page.as_uri(), folder, f"--print-to-pdf={printed}", "--no-pdf-header-footer")
    print(printed)


GOOD = "<h1>t</h1><nav></nav><main>{}<table class='sortable'></table><button></button></main><footer></footer>".format(
    "".join(f'<section id="{name}"><h2>x</h2></section>' for name in SECTIONS)
)
BAD = {  # what the check has to say about a page with this added
    "": None,
    '<img src="http://example.org/a.png">': "asks for http://example.org",
    '<link rel="stylesheet" href="https://fonts.googleapis.com/a.css">': "asks for https://fonts.googleapis.com",
    '<img src="beside.png">': "names beside.png",
    "<style>@import url(https://example.org/a.css);</style>": "asks for https://example.org",
    "<script>console.error('oh')</script>": "the console says",
    '<meta http-equiv="Content-Security-Policy" content="script-src \'none\'"><script>1</script>': "the console says",
    "<script>nothing()</script>": "the console says",
    "<script>document.querySelector('table').innerHTML = '<tr><th>a<td>1<tr><th>b<td>2'</script>": "does not sort",
    '<div style="width:900px">wide</div>': "pixels wide",
    "<script>document.getElementById('classes').remove()</script>": "no section #classes",
}


def self_test(program, folder):
    """The check itself: one page it must accept, and pages it must refuse."""
    failed = 0
    for addition, expected in BAD.items():
        page = folder / "self.html"
        page.write_text(f"<!DOCTYPE html><html><head><title>t</title></head><body>{GOOD}{addition}</body></html>")
        found = faults(program, page, folder)
        right = any(expected in fault for fault in found) if expected else not found
        if not right:
            failed += 1
            print(f"expected {expected!r}, found {found}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", nargs="?", type=pathlib.Path, help="the HTML file")
    parser.add_argument("out", nargs="?", type=pathlib.Path, help="folder for the pictures")
    parser.add_argument("--chromium", default="chromium", help="the browser's program")
    parser.add_argument("--self-test", action="store_true", help="check this script on pages with known faults")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder).resolve()
        if arguments.self_test:
            return self_test(arguments.chromium, folder)
        if arguments.page is None:
            parser.error("name the page")
        page = arguments.page.resolve()
        found = faults(arguments.chromium, page, folder)
        for fault in found:
            print(f"FAULT {fault}")
        if arguments.out:
            photograph(arguments.chromium, page, folder, arguments.out.resolve())
        return len(found)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
