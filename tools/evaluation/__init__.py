"""The evaluation of retrieval on labelled questions."""
