"""Les dix fautes de `tests.engine.mistakes` s’impriment, chacune avec son message."""

from tests.engine.mistakes import TEN, message, report


def test_ten_mistakes_are_told():
    text = report()
    assert len(TEN) == 10
    for mistake in TEN:
        summary = message(mistake).splitlines()[0]
        assert summary in text
        assert "Attendu" in message(mistake) or "Reçu" in message(mistake)
