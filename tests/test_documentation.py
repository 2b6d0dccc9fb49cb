"""What the pages name is there."""

import pathlib
import re

import pytest

from cyclegan_tf.cli.commands import COMMANDS

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "export/**/*.md", "notebooks/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def test_readme_fits_one_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@each_page
def test_links_lead_somewhere(page):
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", prose)
    for link in filter(None, map("".join, links)):
        if not re.match(r"https?:|mailto:", link):
            assert (page.parent / link).exists(), link


@each_page
def test_scripts_and_tests_are_there(page):
    named = r"\b((?:tests|benchmarks|cyclegan_tf|export|docs|notebooks)/[\w/.-]+\.\w+)"
    for name in re.findall(rf"(?<![\w/.]){named}", page.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    "page",
    # The changelog names those that went.
    [page for page in PAGES if page.name != "CHANGELOG.md"],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_commands_exist(page):
    verbs = {command.verb for command in COMMANDS}
    text = page.read_text()
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`(cyclegan [a-z][^`]*)`", text)
    for line in "\n".join([*blocks, *inline]).splitlines():
        for verb in re.findall(r"^(?:\$ )?cyclegan ([a-z][\w-]*)", line):
            assert verb in verbs, line
