"""The page of app/ states the same disclaimers as the scripts, the report and the exports."""

import json
import re
from importlib.resources import files
from pathlib import Path

from eyenet.model import disclaimers

APP = Path(__file__).resolve().parent.parent / "app"


def test_the_page_states_the_disclaimers_of_the_scripts():
    words = (APP / "src/words/en.ts").read_text(encoding="utf-8")
    assert f'notice: "{disclaimers.NOT_A_DEVICE}' in words
    assert f'NOT_COVERED =\n  "{disclaimers.NOT_COVERED}"' in words
    letter = json.loads((files("eyenet.letter") / "en.json").read_text(encoding="utf-8"))
    assert letter["demonstrations"]["network"] == disclaimers.SYNTHETIC_MODEL
    assert "syntheticModel: letter.demonstrations.network" in words


def test_scripts_letter_and_page_call_it_no_medical_device():
    letter = (files("eyenet.letter") / "en.json").read_text(encoding="utf-8")
    for words in (disclaimers.NOT_A_DEVICE, letter, (APP / "src/words/en.ts").read_text(encoding="utf-8")):
        assert re.search(r"not a medical device", words, re.IGNORECASE)
