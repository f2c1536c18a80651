"""The report page in a browser: it fits a phone, asks no network, shows its picture, prints."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from method_cases import METHODS, case, hostile

from noholdout.report import write_report

pytestmark = pytest.mark.engines

PHONE = 360

# A page around the report that measures it at a phone's width and writes what it found.
FRAME = """<!DOCTYPE html><title>frame</title>
<iframe id="page" width="{width}" height="900" srcdoc="{page}"></iframe><pre id="found"></pre>
<script>
window.onload = () => {{
  const inside = document.getElementById("page").contentDocument;
  const picture = inside.querySelector("img");
  document.getElementById("found").textContent = [
    inside.documentElement.scrollWidth, picture.naturalWidth,
    inside.querySelector("figure").clientWidth, inside.querySelectorAll("script, img").length,
    inside.defaultView.performance.getEntriesByType("resource")
      .filter(entry => !entry.name.startsWith("data:")).length,
  ].join(" ");
}};
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("no Chromium is installed: apt-get install chromium")


def visit(browser: str, page: Path, *flags: str) -> str:
    line = [browser, "--headless", "--no-sandbox", "--disable-gpu", *flags, page.as_uri()]
    ran = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    return ran.stdout


@pytest.mark.parametrize("names", ["plain", "hostile"])
@pytest.mark.parametrize("method", METHODS)
def test_the_page_fits_a_phone_and_its_picture_shows(
    method: str, names: str, browser: str, tmp_path: Path
) -> None:
    here = case(method) if names == "plain" else hostile(method)
    write_report(here.run(margin=0.01), tmp_path / "report.html", "noholdout <script>" + 90 * "x")
    page = (tmp_path / "report.html").read_text("utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=PHONE, page=html.escape(page)), "utf-8")
    shown = visit(browser, frame, "--dump-dom")
    numbers = re.search(r'<pre id="found">(\d+) (\d+) (\d+) (\d+) (\d+)</pre>', shown)
    assert numbers is not None, shown[-2000:]
    width, picture, frame_width, elements, requests = map(int, numbers.groups())
    assert width <= PHONE
    assert picture > 400
    assert 250 < frame_width < PHONE  # a wide picture is moved sideways within its frame
    assert elements == 1  # the picture, and no script
    assert requests == 0


@pytest.mark.parametrize("method", METHODS)
def test_the_page_differs_in_the_dark_and_prints(method: str, browser: str, tmp_path: Path) -> None:
    from matplotlib.image import imread

    write_report(case(method).run(), tmp_path / "report.html")
    corners = []
    for name, flags in (("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])):
        shot = tmp_path / f"{name}.png"
        visit(browser, tmp_path / "report.html", f"--screenshot={shot}", *flags)
        corners.append(imread(shot)[5, 5, :3].mean())
    light, dark = corners
    assert light > 0.9
    assert dark < 0.2
    visit(browser, tmp_path / "report.html", f"--print-to-pdf={tmp_path / 'report.pdf'}")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
