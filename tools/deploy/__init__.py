"""`scripts/deploy`: from a checkout to a tested deployment, and back.

run.py           the order of the steps
target.py        what is deployed, under which names
account.py       who is logged in; Cloudflare's API
resources.py     buckets, databases and indexes: found, created, deleted
credentials.py   the deployment's secrets, and whose token the smoke test sends
bundle.py        the upload: built, measured, sent, taken back
smoke.py         the deployed Worker tried over HTTP
unfinished.py    an upload that was not tried to the end, for the next run
removal.py       `--remove`
report.py        output for people and for programs
"""
