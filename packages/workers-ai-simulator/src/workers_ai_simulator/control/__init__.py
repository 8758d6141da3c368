"""What tests and people ask of the simulator itself: the requests, the faults, the page."""
