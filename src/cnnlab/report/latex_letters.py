"""Every letter as LaTeX: what TeX would obey is shown, what the usual fonts lack is taken from mathematics.

The commands are pylatexenc's, of the letters for which a small TeX installation has them (`inputenc`, T1, `textcomp`);
what is in neither is shown as its code point, as pdfLaTeX would stop at it, or leave it out in silence.
"""

import unicodedata

from pylatexenc.latexencode import get_builtin_uni2latex_dict

_TABLE = get_builtin_uni2latex_dict()
_FROM_TABLE = (
    "\\{}$&#%_^~“”‘’–—…\u00a0\u00ad−±×÷·≈≠≤≥∞√∑∂∇∈→←↔↑↓⇒⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂₃₄₅₆₇₈₉"
    "αβγδεζηθικλμνξοπρςστυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"
)
_OURS = {
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "-": "-{}",  # two hyphens side by side would be a dash
    "[": "{[}",  # an item or a row that began with one would be read as its option
    "]": "{]}",
}


def _command(letter: str) -> str:
    """The letter's command in the table, safe before any other letter."""
    found = str(_TABLE[ord(letter)])
    if found.isalpha():  # a Greek letter that looks like a Latin one
        return rf"\ensuremath{{{found}}}"
    return found + "{}" if found[-1].isalpha() else found


_NOT_IN_T1 = frozenset("ĦħĲĳĸĿŀŉŦŧſ")  # of the letters below U+0180
SPECIAL = {letter: _command(letter) for letter in _FROM_TABLE} | _OURS


def escape_latex(text: str) -> str:
    """Text as LaTeX that shows it letter by letter; of what the usual fonts lack it shows the code point."""
    escaped = "".join(SPECIAL.get(letter) or _letter(letter) for letter in unicodedata.normalize("NFC", text))
    return escaped.replace(",,", ",{},")  # T1 fonts make a quotation mark of two commas


def _letter(letter: str) -> str:
    if letter.isspace():
        return " "
    # Latin letters, accents included, are what inputenc and T1 fonts know, but for a few.
    known = letter.isprintable() and ord(letter) < 0x180 and letter not in _NOT_IN_T1
    return letter if known else f"{{[}}U+{ord(letter):04X}{{]}}"
