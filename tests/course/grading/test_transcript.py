"""Une séance d’exercice de bout en bout, dans un vrai noyau : vide, faux, juste."""

import pytest

from tests.course.grading import transcript


@pytest.mark.notebooks
@pytest.mark.slow
def test_feedback_goes_from_empty_to_right(capsys):
    transcript.main(["01"])
    blank, *questions, solved = capsys.readouterr().out.split("\n## ")[1:]
    assert blank.count("la réponse est encore vide") == 5
    assert len(questions) == 10
    for wrong, right in zip(questions[::2], questions[1::2], strict=True):
        assert "réponse fausse" in wrong and "✘" in wrong and "Bravo" not in wrong
        assert "la solution" in right and right.count("Bravo, tout est juste") == 1
    assert solved.count("Bravo, tout est juste") == 5
    assert "Error" not in solved
