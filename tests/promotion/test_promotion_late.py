"""What jsonschema imports for a format that notebooks don't have is built at its first use, and then is what it always was."""

import json
import subprocess
import sys

import pytest

ASK = """
import json, sys
{first}
import jsonschema
built = "lark" in sys.modules
checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
said = [checker.conforms(text, "iri") for text in ("https://example.com/ä", "not an address")]
import rfc3987_syntax
print(json.dumps({{"built": built, "said": said, "file": rfc3987_syntax.__file__, "terms": len(rfc3987_syntax.RFC3987_SYNTAX_TERMS)}}))
"""


def ask(first):
    return json.loads(subprocess.run([sys.executable, "-I", "-c", ASK.format(first=first)], capture_output=True, text=True, check=True).stdout)


def test_the_grammar_of_addresses_is_built_at_its_first_use():
    pytest.importorskip("rfc3987_syntax", reason="jsonschema does without it here")
    plain, ours = ask(""), ask("import jupyter_guardrails.promotion")
    assert plain.pop("built"), "this probe sees it where nobody puts it off"
    assert not ours.pop("built")
    assert ours == plain
    assert ours["said"] == [True, False]
