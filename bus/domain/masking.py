"""What takes the place of a text that a view does not show as it is (脱敏)."""

#: What the treatment `fixed` puts in the place of every text, and of none.
FIXED_TEXT = "***"
_HIDDEN = "*"
#: (from how many letters on, letters kept at the beginning, at the end). A telephone number shows
#: as 138****1234, an identity number as 110***********1234, a name as 王*明.
_KEPT = ((11, 3, 4), (7, 2, 2), (3, 1, 1), (2, 1, 0))


def partly(text: str) -> str:
    """
    Return `text` with its first and last letters only (the treatment `partial`).

    From eleven letters on, three and four are shown; from seven on two and two, from three on one
    and one, of two the first. Each hidden letter becomes one asterisk, so the length shows, too.
    """
    for least, first, last in _KEPT:
        if len(text) >= least:
            hidden = len(text) - first - last
            return text[:first] + _HIDDEN * hidden + text[len(text) - last :]
    return _HIDDEN * len(text)
