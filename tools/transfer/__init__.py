"""Documents and conversations of a deployment as files, and back."""
