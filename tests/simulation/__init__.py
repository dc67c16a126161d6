"""The whole product beside the whole outside world in one process, under every fault, from one seed at a time.

``python -m tests.simulation --seeds 200`` plays seeds; docs/simulation.md says what each of them goes through.
"""
