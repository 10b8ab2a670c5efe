"""Every letter as LaTeX: what TeX would obey is shown, what the usual fonts lack is taken from mathematics.

Packages and fonts are those of a small TeX installation (`inputenc`, T1, `textcomp`); what is in neither is shown as
its code point, as pdfLaTeX would stop at it, or leave it out in silence.
"""

import unicodedata

# The 24 letters of Greek, from alpha on; the capitals that look like Latin ones have no command.
_GREEK = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi o pi rho sigma tau upsilon varphi "
    "chi psi omega"
)
_GREEK_CAPITALS = "A B Gamma Delta E Z H Theta I K Lambda M N Xi O Pi P Sigma T Upsilon Phi X Psi Omega"
_SIGNS = {
    "−": "-",
    "±": r"\pm",
    "×": r"\times",
    "÷": r"\div",
    "·": r"\cdot",
    "≈": r"\approx",
    "≠": r"\neq",
    "≤": r"\leq",
    "≥": r"\geq",
    "∞": r"\infty",
    "√": r"\surd",
    "∑": r"\sum",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∈": r"\in",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "↔": r"\leftrightarrow",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "⇒": r"\Rightarrow",
}
_TEXT = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "-": "-{}",  # two hyphens side by side would be a dash
    "[": "{[}",  # an item or a row that began with one would be read as its option
    "]": "{]}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "\u00a0": "~",
    "\u00ad": r"\-",
}


def _mathematics() -> dict[str, str]:
    signs = dict(_SIGNS)
    # In Unicode the two forms of sigma stand side by side: the final one is left out of the count.
    for first, names in (("α", _GREEK), ("Α", _GREEK_CAPITALS)):
        for place, name in enumerate(names.split()):
            letter = chr(ord(first) + place + (place >= 17))
            signs[letter] = f"\\{name}" if len(name) > 1 else name
    for digit in range(10):
        signs[unicodedata.lookup(f"SUPERSCRIPT {unicodedata.name(str(digit)).split()[1]}")] = f"^{digit}"
        signs[unicodedata.lookup(f"SUBSCRIPT {unicodedata.name(str(digit)).split()[1]}")] = f"_{digit}"
    signs["⁻"] = "^{-}"
    return {letter: rf"\ensuremath{{{sign}}}" for letter, sign in signs.items()}


_NOT_IN_T1 = frozenset("ĦħĲĳĸĿŀŉŦŧſ")  # of the letters below U+0180
SPECIAL = _TEXT | _mathematics()


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
