"""`env.AI.toMarkdown()`: documents and pictures as Markdown.

What upstream does is in https://developers.cloudflare.com/workers-ai/features/markdown-conversion/. Documents are
really converted here; the descriptions of pictures are simulated, and say so.
"""

from workers_ai_simulator.markdown.conversion import SUPPORTED as SUPPORTED
from workers_ai_simulator.markdown.conversion import SentFile as SentFile
from workers_ai_simulator.markdown.conversion import transform as transform
from workers_ai_simulator.markdown.wire import routes as routes
from workers_ai_simulator.markdown.wire import transform_request as transform_request
from workers_ai_simulator.markdown.wire import transform_upload as transform_upload
