#!/usr/bin/env python3
"""Opens reports in headless Chromium, at the width of a phone and of a desk: nothing may be cut.

  report_pages.py TAPER FOLDER

Pictures of the pages are left in FOLDER for people to look at.
"""

import base64
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

WIDTHS = (390, 1400)
LONG_NAMES = ("a class with a name of thirty-three", "b" * 83, "Donaudampfschifffahrt%s" * 2, "d")

# What sticks out of the page and cannot be scrolled to in a box of its own, and what is not drawn.
FAULTS = """(() => {
  const faults = [];
  const page = document.documentElement;
  if (page.scrollWidth > innerWidth) faults.push(`the page is ${page.scrollWidth} wide`);
  const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) ||
                               scrolls(e.parentElement));
  for (const each of document.body.querySelectorAll("*")) {
    const box = each.getBoundingClientRect();
    const name = `${each.tagName} ${each.textContent.slice(0, 40)}`;
    if (box.width > 0 && box.right > innerWidth + 1 && !scrolls(each.parentElement)) {
      faults.push(`${name} ends at ${box.right}`);
    }
    const hides = /hidden|clip/.test(getComputedStyle(each).overflowX);
    if (hides && each.scrollWidth > each.clientWidth) faults.push(`${name} hides a part`);
    if (each.tagName == "IMG" && each.naturalWidth == 0) faults.push(`${each.alt} is not drawn`);
  }
  return [innerWidth, faults];
})()"""


class Browser:
    """Speaks with Chromium through its two debugging pipes."""

    def __init__(self, profile):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()

        def place():
            os.dup2(to_read, 13)  # out of the way of 3 and 4
            os.dup2(to_write, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             f"--user-data-dir={profile}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(3, 4), preexec_fn=place)
        os.close(to_read)
        os.close(to_write)
        self.number = 0
        self.received = b""
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        self.call("Page.enable")

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait()

    def message(self):
        while b"\0" not in self.received:
            more = os.read(self.back, 1 << 20)
            if not more:
                sys.exit("Chromium ended")
            self.received += more
        text, self.received = self.received.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        self.send(json.dumps(request).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            if message.get("method") == "Page.loadEventFired":
                self.loaded = True

    def send(self, data):
        while data:
            data = data[os.write(self.to, data):]

    def open(self, page, width):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=width < 800)
        self.loaded = False
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not self.loaded:
            self.loaded = self.message().get("method") == "Page.loadEventFired"
        self.evaluate("for (const e of document.querySelectorAll('details')) e.open = true")

    def evaluate(self, code):
        return self.call("Runtime.evaluate", expression=code,
                         returnByValue=True)["result"].get("value")

    def picture(self):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


def faults_of(browser, page, width):
    browser.open(page, width)
    inner, faults = browser.evaluate(FAULTS)
    return [f"the window is {inner} wide"] * (inner != width) + faults


def png(width, height, colour):
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    rows = (b"\0" + bytes(colour) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def make_runs(taper, folder):
    """A run of coloured pictures with long names, and one of numbers over many epochs."""
    for number, name in enumerate(LONG_NAMES):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            colour = (60 * number, 200 - 15 * i, 20 * i)
            (folder / "pictures" / name / f"{i}.png").write_bytes(png(20, 20, colour))
    wide = [f"a column of name number {i}" for i in range(40)]
    rows = [",".join(str((row * (i + 1)) % 37) for i in range(41)) for row in range(120)]
    (folder / "table.csv").write_text("\n".join([",".join(wide + ["y"])] + rows) + "\n")
    for options in (["pictures", "--epochs", "2", "--out", "run-pictures", "--batch-size", "8"],
                    ["table.csv", "--target", "y", "--task", "numbers", "--epochs", "60",
                     "--out", "run-numbers", "--schedule", "cosine"]):
        subprocess.run([taper, "train", *options], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
    return [folder / "run-pictures", folder / "run-numbers"]


def main():
    taper, pictures = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    pictures.mkdir(exist_ok=True)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        runs = make_runs(taper, folder)
        browser = Browser(folder / "profile")
        planted = folder / "planted.html"
        planted.write_text('<meta name="viewport" content="width=device-width">'
                           '<body><p style="width: 2000px">wide<img src="none.png" alt="none">')
        for width in WIDTHS:
            if len(faults_of(browser, planted, width)) < 3:
                found.append(f"a page that is cut at {width} pixels was not noticed")
            for run in runs:
                for fault in faults_of(browser, run / "report.html", width):
                    found.append(f"{run.name} at {width} pixels: {fault}")
                (pictures / f"{run.name}-{width}.png").write_bytes(browser.picture())
        browser.close()
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
