"""`env.AI.toMarkdown()`: documents and pictures as Markdown.

https://developers.cloudflare.com/workers-ai/features/markdown-conversion/ describes the original. Documents are really
converted here; descriptions of pictures are simulated, and say so.
"""
