#!/usr/bin/env python3
"""The page of `fourge report` in headless Chromium.

    report_page_test.py --fourge build/dev/fourge --documents tests/data/report [--screenshots DIR]

Every document (*.json) is drawn by `fourge report --from` and shown at 360 and 1280 pixels, light and dark. Checked: no
console message, no request, every number equal to the embedded document's, marks and bars where their axis puts them, no
horizontal overflow, no text of a chart outside it or over another, contrast of text and marks. Exit code 77 (skipped)
where there is no Chromium (Debian package chromium). Needs nothing but Python 3.9.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
WIDTHS = (360, 1280)
SCHEMES = ("light", "dark")

CHECK = r"""
(() => {
  const problems = [];
  const data = JSON.parse(document.getElementById('data').textContent);
  const at = pointer => pointer.split('/').slice(1).reduce(
      (value, key) => value === undefined || value === null ? undefined : value[key.replace(/~1/g, '/').replace(/~0/g, '~')], data);
  let numbers = 0, marks = 0;
  for (const element of document.querySelectorAll('span[data-json]')) {
    const wanted = at(element.dataset.json) * Number(element.dataset.scale), text = element.textContent;
    const fraction = text.split('e')[0].split('.')[1] || '', exponent = Number(text.split('e')[1] || 0);
    const step = Math.pow(10, exponent - fraction.length);
    ++numbers;
    if (!(Math.abs(Number(text) - wanted) <= 0.5001 * step)) problems.push(`${element.dataset.json}: shows ${text}, document ${wanted}`);
  }
  const place = (axis, value) => {
    const [kind, ...rest] = axis.split(','), [least, most, from, to] = rest.map(Number);
    const part = kind === 'log' ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least);
    return from + part * (to - from);
  };
  for (const element of document.querySelectorAll('svg [data-json]')) {
    const shown = Number(element.dataset.shown), wanted = at(element.dataset.json);
    ++marks;
    if (![1, 100, 1000].some(scale => Math.abs(shown - wanted * scale) <= 1e-9 * Math.abs(shown)))
      problems.push(`${element.dataset.json}: drawn as ${shown}, document ${wanted}`);
    const plot = element.closest('[data-y-axis]');
    if (plot) {
      const y = place(plot.dataset.yAxis, shown);
      if (Math.abs(y - Number(element.dataset.y)) > 0.02) problems.push(`${element.dataset.json}: at ${element.dataset.y}, axis says ${y}`);
    } else {
      const x = place(element.closest('[data-x-axis]').dataset.xAxis, shown) - 4, width = Number(element.getAttribute('width'));
      if (Math.abs(x - width) > 0.02) problems.push(`${element.dataset.json}: bar of ${width}, axis says ${x}`);
    }
  }
  if (document.documentElement.scrollWidth > window.innerWidth)
    problems.push(`page is ${document.documentElement.scrollWidth} wide in ${window.innerWidth}`);
  for (const svg of document.querySelectorAll('svg.chart')) {
    const frame = svg.getBoundingClientRect();
    if (frame.width === 0) continue;
    const name = svg.getAttribute('aria-label');
    const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([text, box], i) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1) problems.push(`${name}: "${text}" leaves the chart`);
      for (const [other, b] of texts.slice(i + 1)) {
        const wide = Math.min(box.right, b.right) - Math.max(box.left, b.left), high = Math.min(box.bottom, b.bottom) - Math.max(box.top, b.top);
        if (wide > 1 && high > 3.5) problems.push(`${name}: "${text}" over "${other}"`);
      }
    });
  }
  const channels = color => color.match(/[\d.]+/g).slice(0, 3).map(Number);
  const luminance = color => {
    const [r, g, b] = channels(color).map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const surface = getComputedStyle(document.querySelector('section')).backgroundColor;
  const check = (color, least, what) => {
    const ratio = contrast(color, surface);
    if (ratio < least) problems.push(`${what}: contrast ${ratio.toFixed(2)} to the background, at least ${least} wanted`);
  };
  for (const selector of ['p', 'td', 'th', 'summary', 'section .absent'])
    for (const element of [...document.querySelectorAll(selector)].slice(0, 3)) check(getComputedStyle(element).color, 4.5, selector);
  const fills = new Set();
  for (const element of document.querySelectorAll('svg text')) fills.add('4.5 text ' + getComputedStyle(element).fill);
  for (const element of document.querySelectorAll('svg .mark, svg .bar')) fills.add('3 mark ' + getComputedStyle(element).fill);
  for (const element of document.querySelectorAll('svg .line')) fills.add('3 line ' + getComputedStyle(element).stroke);
  for (const fill of fills) { const [least, what, ...color] = fill.split(' '); check(color.join(' '), Number(least), what); }
  const requests = performance.getEntriesByType('resource').map(entry => entry.name);
  if (requests.length) problems.push('requests: ' + requests.join(' '));
  return JSON.stringify({problems, numbers, marks, surface, sections: document.querySelectorAll('main section').length});
})()
"""


class Browser:
    """Chromium over the DevTools protocol, through its pipes (file descriptors 3 and 4)."""

    def __init__(self, program, profile):
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # Above the two numbers that they are moved to.
        child = [os.dup2(to_browser, 40), os.dup2(from_browser, 41)]

        def place():
            os.dup2(40, 3)
            os.dup2(41, 4)

        arguments = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--no-first-run", f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(arguments, preexec_fn=place, close_fds=False,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for descriptor in [*child, to_browser, from_browser]:
            os.close(descriptor)
        self._buffer = b""
        self._next = 0
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def _receive(self):
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError("Chromium went away")
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self._next += 1
        message = {"id": self._next, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._next:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._receive())

    def close(self):
        try:
            self.call("Browser.close")
        except (RuntimeError, OSError):
            pass
        self._process.wait(timeout=20)


def show(browser, page, width, scheme):
    """Shows the page; returns what it finds wrong and what the console says."""
    browser.events.clear()
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Page.navigate", url=page.as_uri())
    browser.wait_for("Page.loadEventFired")
    result = browser.call("Runtime.evaluate", expression=CHECK, returnByValue=True)
    if "exceptionDetails" in result:
        return {"problems": [result["exceptionDetails"]["exception"]["description"]], "numbers": 0, "marks": 0, "sections": 0, "surface": ""}
    found = json.loads(result["result"]["value"])
    for event in browser.events:
        if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            found["problems"].append("console: " + json.dumps(event["params"])[:300])
    return found


def screenshot(browser, path):
    image = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
    path.write_bytes(base64.b64decode(image["data"]))


def check_document(browser, options, document, folder):
    page = folder / (document.stem + ".html")
    subprocess.run([options.fourge, "report", "--from", document, "--out", page], check=True, stdout=subprocess.DEVNULL)
    wrong, surfaces = [], set()
    for width in WIDTHS:
        for scheme in SCHEMES:
            found = show(browser, page, width, scheme)
            name = f"{document.stem}, {width} px, {scheme}"
            print(f"{name}: {found['numbers']} numbers, {found['marks']} marks, {len(found['problems'])} problems")
            wrong += [f"{name}: {problem}" for problem in found["problems"]]
            if found["sections"] != 10:
                wrong.append(f"{name}: {found['sections']} sections, expected 10")
            if found["numbers"] < 50:
                wrong.append(f"{name}: only {found['numbers']} numbers")
            surfaces.add(found["surface"])
            if options.screenshots:
                options.screenshots.mkdir(parents=True, exist_ok=True)
                screenshot(browser, options.screenshots / f"{document.stem}_{width}_{scheme}.png")
    if len(surfaces) != len(SCHEMES):
        wrong.append(f"{document.stem}: light and dark have the same background")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fourge", type=pathlib.Path, required=True)
    parser.add_argument("--documents", type=pathlib.Path, required=True)
    parser.add_argument("--screenshots", type=pathlib.Path)
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        print("skipped: no Chromium (Debian package chromium)")
        return SKIPPED
    documents = sorted(options.documents.glob("*.json"))
    if not documents:
        print(f"no documents in {options.documents}", file=sys.stderr)
        return 1
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(program, folder + "/profile")
        try:
            for domain in ("Page", "Runtime", "Log"):
                browser.call(domain + ".enable")
            for document in documents:
                wrong += check_document(browser, options, document, pathlib.Path(folder))
        finally:
            browser.close()
    print("\n".join(wrong[:60]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
