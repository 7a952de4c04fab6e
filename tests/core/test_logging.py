"""The log: one JSON object a line, whatever is logged."""

import json
import subprocess
import sys
from typing import Final

from tests.hostile.texts import INJECTIONS

PROGRAM: Final = """
import json, logging, sys
import structlog
from app.core.logging import configure_logging
configure_logging("INFO")
log = structlog.get_logger("ours")
for text in json.loads(sys.argv[1]):
    log.warning(text, field=text, nested={text: [text]})
    logging.getLogger("theirs").warning("%s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        log.exception("broke")
"""


def test_a_text_never_begins_a_line_of_its_own() -> None:
    texts = [*INJECTIONS, "\0", "\ud800"]
    argv = [sys.executable, "-c", PROGRAM, json.dumps(texts)]
    done = subprocess.run(argv, capture_output=True, check=True)
    lines = done.stderr.decode("ascii").splitlines()  # nothing else goes out, so no reader cuts a line elsewhere
    assert len(lines) == 3 * len(texts)
    for number, text in enumerate(texts):
        ours, theirs, broke = (json.loads(line) for line in lines[3 * number : 3 * number + 3])
        assert (ours["event"], ours["field"], ours["nested"], ours["level"]) == (text, text, {text: [text]}, "warning")
        assert (theirs["event"], theirs["logger"]) == (text, "theirs")
        assert "RuntimeError: " in broke["exception"]
