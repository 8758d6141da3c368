"""AI Gateway: every call of a model on its way through a gateway is cached, limited, tried again and written down."""
