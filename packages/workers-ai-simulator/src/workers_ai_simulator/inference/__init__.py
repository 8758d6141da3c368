"""Workers AI: the binding's calls and the REST API, which run models, alone or in batches, simulated or real."""
