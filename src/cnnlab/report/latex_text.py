"""Running text and lines of code as LaTeX; TeX commands in them are shown, not executed."""

from urllib.parse import quote

from cnnlab.report.document import InlineWriter
from cnnlab.report.latex_letters import escape_latex

_BREAK_AFTER = "./_-,="
_MOST_UNBROKEN = 10  # letters of a word that may break
_LONGEST_WORD, _LONGEST_CODE, _LONGEST_LISTED = 24, 10, 60  # in text, in code in the text, in listings


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
