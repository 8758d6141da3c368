"""An offline stand-in for Cloudflare's REST API, for tests that run `scripts/deploy` and `wrangler` whole against it.

store, settings, platform     what an account has, in one folder; survives a restart
gate, faults, journal         every request passes here: credentials, permissions, ordered failures, the record
identity, scripts, versions,
secrets, assets, workflows,
queues, r2, d1, forward       the API's routes, a service a file
uploads, bindings, classes    what an upload holds, and what Cloudflare checks before taking it
edge, edge_files              runs the active version of a Worker in the project's local runtime, made from the upload
control                       `/_control`: what a test asks of the stand-in itself
account                       the typed client of all that, for tests

Error codes and messages are Cloudflare's where a source is known: wrangler's own source, Cloudflare's documentation,
or recorded answers in public issues. A comment marks each that is a guess.
HTTP statuses of refused uploads are guesses too: clients go by the code.
"""
