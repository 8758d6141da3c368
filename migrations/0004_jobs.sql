-- Work that outlasts a request (src/aiworker/jobs/), run in steps by an instance of the Workflow.
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  -- Tenant that may read the job; NULL for jobs that only admins may read.
  tenant TEXT,
  -- What to do, as JSON; emptied when the job has ended.
  params TEXT NOT NULL,
  -- Where the next step goes on, as JSON.
  position TEXT NOT NULL DEFAULT 'null',
  state TEXT NOT NULL DEFAULT 'queued',
  reason TEXT,
  total INTEGER,
  done INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  -- Of the unfinished jobs, one may have it: a second request for the same work joins the first.
  unique_key TEXT,
  -- How often this work was requested while the job was unfinished: each request begins it anew.
  requests INTEGER NOT NULL DEFAULT 1,
  -- Number of the workflow's instance that runs it; an instance has a limit of steps.
  instance INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE UNIQUE INDEX jobs_by_key ON jobs (unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX unfinished_jobs ON jobs (updated_at) WHERE state IN ('queued', 'running');
CREATE INDEX ended_jobs ON jobs (updated_at) WHERE state IN ('done', 'failed');
