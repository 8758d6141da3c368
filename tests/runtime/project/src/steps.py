from workers import WorkflowEntrypoint


class Steps(WorkflowEntrypoint):
    async def run(self, event, step):
        attempts = 0

        @step.do("double", config={"retries": {"limit": 2, "delay": 1, "backoff": "constant"}})
        async def double():
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise ValueError("the first attempt fails")
            return {"value": event["payload"]["value"] * 2}

        return {"doubled": (await double())["value"], "attempts": attempts}
