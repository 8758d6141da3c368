"""The Worker in workerd, with Workers AI and Vectorize simulated: `pytest` starts both."""

import httpx
import pytest

NOTES = [
    {"id": "cat", "text": "The cat sleeps on the sofa."},
    {"id": "train", "text": "The train to Oslo leaves at nine."},
]
EMBEDDINGS = {"model": "@cf/baai/*", "simulated": True, "count": None}


@pytest.fixture
def worker(scripted_worker):
    """The Worker with two notes. Models of text give scripted answers only."""
    scripted_worker.ai.set_answer(**EMBEDDINGS)
    assert httpx.post(f"{scripted_worker.url}/notes", json=NOTES).json() == {"stored": 2}
    return scripted_worker


def ask(worker, question):
    return httpx.get(f"{worker.url}/ask", params={"q": question})


def test_a_question_is_answered_from_the_note_that_fits(worker):
    worker.ai.set_answer(prompt="leave", text="At nine.")
    assert ask(worker, "When does the train leave?").json() == {"answer": "At nine.", "notes": [NOTES[1]["text"]]}
    [call] = worker.ai.assert_asked(model="@cf/meta/*", times=1)
    assert NOTES[1]["text"] in call["inputs"]["messages"][0]["content"]


def test_a_busy_model_is_said(worker):
    worker.ai.set_answer(error={"status": 429, "code": 3040, "description": "Capacity temporarily exceeded"})
    response = ask(worker, "Where is the cat?")
    assert response.status_code == 502
    assert "3040: Capacity temporarily exceeded" in response.json()["error"]


def test_other_paths_say_what_there_is(simulated_worker):
    response = httpx.get(simulated_worker.url)
    assert (response.status_code, response.text) == (404, "POST /notes with [{id, text}], or GET /ask?q=")
