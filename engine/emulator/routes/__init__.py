"""The routes, by subject. Each is served under `/openai` (dated) and `/openai/v1`."""
