"""Text that means something to whoever shows it: to a terminal, a page, a spreadsheet, a log, a reader's eye."""

from typing import Final

from hypothesis import strategies as st

INJECTIONS: Final = (
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "<!--",
    "]]>",
    "&lt;b&gt; &amp; &#0;",
    "[x](javascript:alert(1)) ![x](https://evil.example/x.png)",
    "```\n# not a heading",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-1",
    "@SUM(A1:A9)",
    "\t=1",
    "\uff1d1+1",
    "\uff0b1",
    '{"event": "forged", "level": "error"}',
    'line\r\n{"event": "forged"}',
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "[red]not red[/red]",
    "[/]",
    "[link=https://evil.example]x[/link]",
    "\u202egnp.exe",
    "\u2066\u2069\u200f\u061c",
    "\u0065\u0301 and \u00e9",
    "\ufeff\u200b\u2028\u2029\x85",
    "\U0001f9ea \U0001f469\u200d\U0001f52c \U0001d518\U0001d52b \U0010ffff",
    "%s %d {0} ${HOME} $(id) `id`",
    "'; DROP TABLE papers; --",
    "\\u0000 \\ud800",
    "a\x01b\x1fc\x7fd",
)
HOSTILE: Final = st.sampled_from(INJECTIONS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)
"""Every text that Postgres keeps, and the worst of it more often."""
