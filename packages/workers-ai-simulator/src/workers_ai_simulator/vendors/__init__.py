"""Models of other vendors behind AI Gateway, each in its vendor's dialect: OpenAI's, Anthropic's and Google's."""
