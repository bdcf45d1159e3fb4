"""XLSX: a page per sheet, a line per row, cells between tabs, as values and not as formulas."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from lxml import etree

from ingest.document import Verdict
from ingest.errors import Unreadable
from ingest.readers import paged
from ingest.readers.content import Content
from ingest.readers.package import RELATIONS, Package, local

MAIN = "xl/workbook.xml"
MAX_COLUMNS = 16_384
DATES = {*range(14, 23), *range(45, 48)}
"""Number formats that Excel itself has for dates and times."""
NOT_A_SIGN = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
COLUMN = re.compile(r"([A-Z]{1,3})(\d+)")


def read(data: bytes, name: str) -> Content:
    """Cell values of every sheet, hidden ones too; page label = sheet name. Raises Unreadable."""
    package = Package(data)
    book = package.xml(MAIN)
    relations = package.relations(MAIN)
    strings = _strings(package)
    dates = _date_styles(package)
    first_day = datetime(1904, 1, 1) if _flag(book.find("{*}workbookPr"), "date1904") else datetime(1899, 12, 30)
    sheets: list[tuple[str, str]] = []
    for sheet in book.iterfind("{*}sheets/{*}sheet"):
        part = relations.get(sheet.get(f"{RELATIONS}id", ""), "")
        rows = [_row(row, strings, dates, first_day) for row in package.xml(part).iter("{*}row")]
        sheets.append((sheet.get("name", ""), "\n".join(row for row in rows if row)))
    text, pages = paged.join(sheets)
    return Content(text, package.title() or name, Verdict("loaded"), pages)


def _flag(element: etree._Element | None, name: str) -> bool:
    return element is not None and element.get(name) in ("1", "true")


def _strings(package: Package) -> list[str]:
    if "xl/sharedStrings.xml" not in package.names:
        return []
    return [_text(item) for item in package.xml("xl/sharedStrings.xml").iterfind("{*}si")]


def _text(element: etree._Element) -> str:
    """A string's runs, without the reading aids (rPh) of Japanese."""
    runs = (t for t in element.iter("{*}t") if local(t.getparent()) != "rPh")
    return "".join(run.text or "" for run in runs)


def _date_styles(package: Package) -> set[str]:
    """Numbers of the cell styles that show a date."""
    if "xl/styles.xml" not in package.names:
        return set()
    styles = package.xml("xl/styles.xml")
    custom = {f.get("numFmtId", ""): f.get("formatCode", "") for f in styles.iterfind("{*}numFmts/{*}numFmt")}
    dated = {str(n) for n in DATES}
    dated |= {n for n, code in custom.items() if set(NOT_A_SIGN.sub("", code).lower()) & set("ymdhs")}
    return {str(i) for i, xf in enumerate(styles.iterfind("{*}cellXfs/{*}xf")) if xf.get("numFmtId") in dated}


def _row(row: etree._Element, strings: list[str], dates: set[str], first_day: datetime) -> str:
    cells: list[str] = []
    for cell in row.iterfind("{*}c"):
        place = COLUMN.fullmatch(cell.get("r", ""))
        column = _number(place.group(1)) if place else len(cells)
        if column >= MAX_COLUMNS:
            raise Unreadable(f"a row has more than {MAX_COLUMNS:,} columns")
        cells.extend([""] * (column - len(cells)))
        cells.append(_value(cell, strings, dates, first_day).replace("\n", " ").replace("\t", " "))
    return "\t".join(cells).rstrip()


def _number(letters: str) -> int:
    """0 for A, 25 for Z, 26 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _value(cell: etree._Element, strings: list[str], dates: set[str], first_day: datetime) -> str:
    kind, raw = cell.get("t", "n"), cell.findtext("{*}v") or ""
    if kind == "inlineStr":
        return _text(cell)
    if kind == "s":
        return strings[int(raw)] if raw.isdecimal() and int(raw) < len(strings) else ""
    if kind == "b":
        return "TRUE" if raw == "1" else "FALSE"
    if kind == "n" and raw and cell.get("s") in dates:
        return _date(raw, first_day)
    return raw


def _date(raw: str, first_day: datetime) -> str:
    try:
        moment = first_day + timedelta(seconds=round(float(raw) * 86400))
    except (ValueError, OverflowError):
        return raw
    if 0 <= float(raw) < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d" if float(raw).is_integer() else "%Y-%m-%d %H:%M:%S")
