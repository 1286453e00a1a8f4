"""The status page in a browser, as wide as a desk's and as narrow as a phone's, light and dark, with scripts and without:
every row shows what a subscriber saw, nothing comes from elsewhere, nothing is said on the console, nothing sticks out.

BUSFERRY_PICTURES=FOLDER keeps a picture of each, to be looked at.
"""

import os
import sys
import unittest

import browser
from harness import wait_until
from test_page import Stage

ROWS = """Object.fromEntries([...document.querySelectorAll('tr[id^=m]')].map(row =>
    [row.querySelector('th small').textContent, (row.querySelector('data') || row.querySelector('.state')).textContent]))"""
# What is cut off or sticks out at the side, as far as somebody could see it.
STICKS_OUT = """[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().width &&
    e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 80))"""
WIDE = "[document.documentElement.scrollWidth, innerWidth]"
# Of WCAG 2.2, 1.4.3: contrast of each text with what lies behind it.
FAINT = """(() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number)
  const light = c => { const [r, g, b] = parts(c).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor
    if (parts(c)[3] !== 0) return c } }
  const faint = []
  for (const e of document.querySelectorAll('#live *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !parseFloat(getComputedStyle(e).fontSize)) continue
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x)
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(e.outerHTML.slice(0, 80))
  }
  return faint })()"""


class InBrowser(Stage):
    def test_each_row_in_each_shape(self):
        self.stage()
        wait_until(lambda: self.subscription.payloads("home/cellar/dead/lost"), "the dead one is told")
        view = browser.Browser()
        self.addCleanup(view.close)
        url = "http://127.0.0.1:%d/" % self.port
        for width, dark, scripts in ((1280, False, True), (1280, True, True), (390, False, True), (390, True, True),
                                     (320, False, True), (390, False, False), (1280, True, False)):
            with self.subTest(width=width, dark=dark, scripts=scripts):
                view.requests.clear()
                view.open(url, width, 900, dark, scripts)
                if scripts:
                    first = view.value(ROWS)
                    wait_until(lambda f=first: view.listen(0.2) or view.value(ROWS) != f, "the page renews itself")
                    self.assertIn(url + "live", view.requests)
                    shown = view.value(ROWS)
                else:  # evaluating needs no scripts of the page
                    shown = view.value(ROWS)
                self.assertEqual(len(shown), 8)
                for topic, value in shown.items():
                    wait_until(lambda t=topic, v=value: v in self.seen(t), "%s = %s, as shown" % (topic, value))
                self.assertEqual(view.errors, [])
                self.assertFalse([r for r in view.requests if not r.startswith((url, "data:"))])
                self.assertEqual(view.value(WIDE), [width, width])
                self.assertEqual(view.value(STICKS_OUT), [])
                self.assertEqual(view.value(FAINT), [])
                self.assertEqual(view.value("document.querySelectorAll('th:not([scope])').length"), 0)
                if os.environ.get("BUSFERRY_PICTURES"):
                    view.picture("%s/%d-%s%s.png" % (os.environ["BUSFERRY_PICTURES"], width, "dark" if dark else "light",
                                                     "" if scripts else "-plain"))
        view.open(url)
        self.busferry.stop()
        wait_until(lambda: view.listen(0.2) or "No answer from the gateway since" in view.value(
            "document.getElementById('stale').innerText"), "a word that nobody answers")


if __name__ == "__main__":
    if not browser.CHROMIUM:
        print("no chromium here: the page is not looked at in a browser")
        sys.exit(77)
    unittest.main()
