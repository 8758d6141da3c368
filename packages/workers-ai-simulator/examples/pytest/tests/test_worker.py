"""A Worker in any language: `pytest` starts it in workerd, with its bindings simulated."""

import httpx


def test_the_weather_is_what_the_model_says(scripted_worker):
    scripted_worker.ai.set_answer(prompt="Oslo", text="It rains.")
    assert httpx.get(scripted_worker.url, params={"city": "Oslo"}).json() == {"weather": "It rains."}
    scripted_worker.ai.assert_asked(pattern="weather in Oslo", times=1)


def test_a_busy_model_is_said(simulated_worker):
    simulated_worker.ai.set_fault(status=429, code=3040)
    response = httpx.get(simulated_worker.url)
    assert response.status_code == 502
    assert response.json()["error"].startswith("3040")
