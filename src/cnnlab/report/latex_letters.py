"""Every letter as LaTeX: TeX's special letters are escaped, letters missing in the usual fonts come from mathematics.

The commands are pylatexenc's, for letters that a small TeX installation has (`inputenc`, T1, `textcomp`). Any other
letter is written as its code point, because pdfLaTeX would stop at it or omit it.
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
    "-": "-{}",  # two hyphens together would be a dash
    "[": "{[}",  # at the beginning of an item or a row it would start an option
    "]": "{]}",
}


def _command(letter: str) -> str:
    """The letter's command in the table; any letter may follow it."""
    found = str(_TABLE[ord(letter)])
    if found.isalpha():  # a Greek letter that looks like a Latin one
        return rf"\ensuremath{{{found}}}"
    return found + "{}" if found[-1].isalpha() else found


_NOT_IN_T1 = frozenset("ĦħĲĳĸĿŀŉŦŧſ")  # of the letters below U+0180
SPECIAL = {letter: _command(letter) for letter in _FROM_TABLE} | _OURS


def escape_latex(text: str) -> str:
    """Text as LaTeX that shows it letter by letter; a letter missing in the usual fonts is its code point."""
    escaped = "".join(SPECIAL.get(letter) or _letter(letter) for letter in unicodedata.normalize("NFC", text))
    return escaped.replace(",,", ",{},")  # in T1 fonts two commas become a quotation mark


def _letter(letter: str) -> str:
    if letter.isspace():
        return " "
    # inputenc and T1 fonts have nearly all Latin letters, also with accents.
    known = letter.isprintable() and ord(letter) < 0x180 and letter not in _NOT_IN_T1
    return letter if known else f"{{[}}U+{ord(letter):04X}{{]}}"
