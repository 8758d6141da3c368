"""Models of other vendors, which AI Gateway calls: `openai/…`, `anthropic/…`, `google/…`, `dynamic/…`, `custom/…`.

Everywhere else in the Worker, they have OpenAI's dialect. The binding passes on each vendor's own dialect: inputs are
translated
when a model is called, and answers when they are read.
"""
