"""Jobs: work that outlasts a request, such as the deletion of a large document.

A job is a row of the table `jobs` in D1, run in steps by an instance of the Workflow `INGESTIONS`. A step is repeated
when it fails and when a crash cuts it off; `resume` goes on with jobs that have stopped. `GET /rag/jobs/{id}` reports
the progress.

To add a kind of job:

1. Write its step, `async def step(resources: Resources, job: Job) -> Progress`. It does a bounded part of the work (at
   most some 60 calls of bindings, well below a minute), from `job.position` on, and returns where the next step goes
   on. It must bear being run twice from the same position. It raises ApiError to be tried again, NonRetryableError to
   end the job as failed.
2. Add the kind to `KINDS` in `kinds.py`.
3. Start a job with `queue.start(resources, kind, tenant, params)`, and answer with `routes.jobs.job_response`.
"""
