"""The page of app/ states the same disclaimers as the scripts, the report and the exports."""

from pathlib import Path

from eyenet.model import disclaimers

APP = Path(__file__).resolve().parent.parent / "app"


def test_the_page_states_the_disclaimers_of_the_scripts():
    assert disclaimers.NOT_A_DEVICE in (APP / "index.html").read_text(encoding="utf-8")
    assert f'NOT_COVERED =\n  "{disclaimers.NOT_COVERED}"' in (APP / "src/words.ts").read_text(encoding="utf-8")
    assert f'SYNTHETIC_MODEL = "{disclaimers.SYNTHETIC_MODEL}"' in (APP / "src/words.ts").read_text(encoding="utf-8")
