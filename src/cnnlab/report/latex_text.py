"""Letters, running text and lines of code as LaTeX; TeX commands in them are shown, not executed.

TeX's special letters are escaped, letters missing in the usual fonts come from mathematics. The commands are
pylatexenc's, for letters that a small TeX installation has (`inputenc`, T1, `textcomp`). Any other letter is written as
its code point, because pdfLaTeX would stop at it or omit it.
"""

import unicodedata
from urllib.parse import quote

from pylatexenc.latexencode import get_builtin_uni2latex_dict

from cnnlab.report.document import InlineWriter

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

_BREAK_AFTER = "./_-,="
_MOST_UNBROKEN = 10  # letters of a word that may break
_LONGEST_WORD, _LONGEST_CODE, _LONGEST_LISTED = 24, 10, 60  # in text, in code in the text, in listings


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


def breakable(text: str, longest: int) -> str:
    """Text whose words of more than `longest` letters may break: after punctuation, else after every few letters."""
    return " ".join(_breakable_word(word) if len(word) > longest else escape_latex(word) for word in text.split(" "))


def _url(address: str) -> str:
    r"""An address inside \href: TeX's special letters are percent-encoded, and the percent signs escaped."""
    encoded = quote(address, safe=":/?=&@+,;~-._()#%")
    return "".join(f"\\{letter}" if letter in "%#&_" else letter for letter in encoded)


inline_latex = InlineWriter(
    marks={"strong_open": r"\textbf{", "strong_close": "}", "em_open": r"\emph{", "em_close": "}"},
    plain=lambda text: breakable(text, _LONGEST_WORD),
    code=lambda text: rf"\code{{{breakable(text, _LONGEST_CODE)}}}",
    link=lambda address: (rf"\href{{{_url(address)}}}{{", "}"),
)


def verbatim(text: str) -> str:
    """Lines of code for the `codelines` environment: spaces kept, each line ended, long ones may break at spaces."""
    lines = []
    for line in text.expandtabs(4).splitlines():
        body = line.strip(" ")
        indent = r"\ " * (len(line.rstrip(" ")) - len(body))
        # A line may break at a space; further spaces are control spaces, which TeX does not drop.
        shown = " ".join(breakable(word, _LONGEST_LISTED) or "\\" for word in body.split(" ")) if body else ""
        lines.append(rf"\mbox{{}}{indent}{shown}\par")
    return "\n".join(lines)


def _breakable_word(word: str) -> str:
    parts, since_last = [], 0
    for letter in word:
        since_last = 0 if letter in _BREAK_AFTER else since_last + 1
        is_break = since_last == 0 or since_last % _MOST_UNBROKEN == 0
        parts.append(escape_latex(letter) + (r"\allowbreak{}" if is_break else ""))
    return "".join(parts)
