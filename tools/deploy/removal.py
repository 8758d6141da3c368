"""`scripts/deploy --remove`: list what a deployment has, ask, and delete what scripts/deploy has created."""

import contextlib

from tools.deploy import bundle, resources
from tools.deploy.account import Account, log_in
from tools.deploy.api import NotFoundError
from tools.deploy.commands import Commands
from tools.deploy.errors import DeployError
from tools.deploy.made import WORKER, WORKFLOW, Made
from tools.deploy.plan import Options, confirm
from tools.deploy.report import Report
from tools.deploy.target import Target
from tools.deploy.workplace import alone


def remove(options: Options, *, everything: bool) -> int:
    """Remove a deployment, and return the exit status. Raises DeployError if that is not possible.

    everything: delete all resources of wrangler.jsonc, whether or not this machine has created them.
    """
    target = Target.read(options.root, options.environment)
    account = log_in(target, Commands(options.root))
    report, made = Report(as_json=options.as_json), Made(target.root, account.id, target.worker)
    existing = _found(account, target)
    created = made.read()
    doomed = [entry for entry in existing if everything or entry[:2] in created]
    report.say(f"{target.worker} ({target.title}) in the account {account.title}\n")
    if not existing:
        report.result("There is nothing to remove.", ok=True, removed=[])
        return 0
    fates = ["delete" if entry in doomed else "keep: not created by this machine" for entry in existing]
    report.table([(*entry, fate) for entry, fate in zip(existing, fates, strict=True)])
    if not doomed:
        raise DeployError("None of this was created by scripts/deploy on this machine: add --all to delete it.")
    names = [f"{kind} {name}" for kind, name, _ in doomed]
    if options.dry_run:
        if options.as_json:
            report.result("", dry_run=True, worker=target.worker, remove=names)
        return 0
    question = f"Deleted data cannot be restored. Type {target.worker} to go on:"
    confirm(question, lambda answer: answer == target.worker, options)
    with alone():
        for kind, name, _ in doomed:
            with report.step(f"{kind} {name}") as step:
                _delete(account, target, kind, name)
                made.remove(kind, name)
                step.outcome = "deleted"
    report.result(f"\nRemoved: {', '.join(names)}.", ok=True, removed=names)
    return 0


def _found(account: Account, target: Target) -> list[tuple[str, str, str]]:
    """Return kind, name and contents of what exists, in the order of deletion: the Worker goes first."""
    existing: list[tuple[str, str, str]] = []
    if bundle.is_there(account, target):
        existing.append((WORKER, target.worker, "with its conversations and budgets"))
    # also without the Worker: an earlier removal may have been interrupted after deleting it
    existing += [(WORKFLOW, name, "") for name in target.named("workflows") if _has_workflow(account, target, name)]
    return existing + [
        (each.kind, each.name, each.contents()) for each in resources.all_of(account, target) if each.is_there()
    ]


def _has_workflow(account: Account, target: Target, name: str) -> bool:
    """Whether there is a Workflow of this name, and it is this Worker's: names are the account's."""
    with account.reach(f"look for the Workflow {name}"):
        try:
            return account.api.get("workflows", name)["script_name"] == target.worker
        except NotFoundError:
            return False


def _delete(account: Account, target: Target, kind: str, name: str) -> None:
    if kind == WORKER:
        with account.reach(f"delete the Worker {name}"), contextlib.suppress(NotFoundError):
            account.api.delete("workers/scripts", name, force="true")
        return
    if kind == WORKFLOW:
        with account.reach(f"delete the Workflow {name}"), contextlib.suppress(NotFoundError):
            account.api.delete("workflows", name)
        return
    next(each for each in resources.all_of(account, target) if (each.kind, each.name) == (kind, name)).delete()
