"""The order of a deployment: look, plan, ask, create what is missing, upload, try it, and go back if it fails."""

import contextlib
from dataclasses import replace

from tools.deploy import bundle, credentials, resources, smoke, workplace
from tools.deploy.account import Account, log_in
from tools.deploy.api import NotFoundError
from tools.deploy.bundle import Bundle, Version
from tools.deploy.commands import CommandError, Commands
from tools.deploy.credentials import Secrets
from tools.deploy.errors import DASHBOARD, DeployError
from tools.deploy.made import WORKER, WORKFLOW, Made
from tools.deploy.plan import Options, confirm, rows_of
from tools.deploy.report import Report
from tools.deploy.resources import Index
from tools.deploy.smoke import Outcome, SmokeTest
from tools.deploy.target import Target
from tools.deploy.unfinished import Unfinished, Upload

SUBDOMAIN = "workers/subdomain"


def deploy(options: Options) -> int:
    """Deploy, and return the exit status: 0 if the deployment works. Raises DeployError if it cannot be made."""
    return Deployment(options).run()


class Deployment:
    """One run of scripts/deploy."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._report = Report(as_json=options.as_json)
        self._target = Target.read(options.root, options.environment)
        self._commands = Commands(options.root)
        self._file = workplace.file(options.root)
        self._unseen_key = ""

    def run(self) -> int:
        target = self._target
        target.settings()  # to refuse variables that the Worker would refuse
        if self._options.dry_run:
            return self._show_plan()
        account = log_in(target, self._commands)
        steps = rows_of(account, target, self._options)
        self._report.say(f"Deploying {target.worker} ({target.title}) to the account {account.title}\n")
        self._report.table(steps)
        confirm("Go on? [y/N]", lambda answer: answer.lower() in ("y", "yes"), self._options)
        with workplace.alone(), workplace.configured(target, account.id):
            return self._deploy(account)

    # ---- the plan ----------------------------------------------------------------------------------------------------

    def _show_plan(self) -> int:
        """Print the plan, with what exists already if somebody is logged in."""
        account: Account | None = None
        try:
            account = log_in(self._target, self._commands)
            note = f"to the account {account.title}"
        except DeployError as error:
            note = f"\n(what is there already is not known: {error})"
        steps = rows_of(account, self._target, self._options)
        self._report.say(f"Would deploy {self._target.worker} ({self._target.title}) {note}\n")
        self._report.table(steps)
        if self._options.as_json:
            rows = [dict(zip(("what", "state", "action"), row, strict=True)) for row in steps]
            self._report.result("", dry_run=True, worker=self._target.worker, plan=rows)
        return 0

    # ---- the steps ---------------------------------------------------------------------------------------------------

    def _deploy(self, account: Account) -> int:
        target, report = self._target, self._report
        report.say()
        made = Made(target.root, account.id, target.worker)
        deployed = credentials.deployed_names(account, target)
        secrets = credentials.missing(target, deployed)
        bundle.active(account, target)  # traffic that is split is refused before anything is made
        address = self._address(account)
        with report.step("upload: built") as step:
            built = bundle.build(target, self._file, self._commands)
            built.check_size(self._options.plan)
            step.outcome = built.size
        self._create_resources(account, made)
        self._migrate(account)
        before = bundle.active(account, target)
        if credentials.deployed_names(account, target) != deployed:
            raise DeployError("Meanwhile somebody else has changed the secrets of this deployment: run it again.")
        # a caller that the version before has known must be known to the new one: a 401 is then a defect, not a missing
        # key
        was_known = before is not None and smoke.is_known(address, credentials.caller(target, address, secrets))
        try:
            version, is_new = self._upload(account, built, before, secrets)
            caller = credentials.caller(target, address, secrets)
            caller = replace(caller, is_certain=caller.is_certain or was_known)
            is_public = target.settings().policy.public_scopes is not None
            outcomes = SmokeTest(address, version, caller, target.vector_width(), is_public=is_public).run(report)
            return self._conclude(account, address, version, outcomes, is_new=is_new)
        finally:
            self._show_key()

    def _create_resources(self, account: Account, made: Made) -> None:
        for resource in resources.all_of(account, self._target):
            with self._report.step(resource.title) as step:
                step.outcome = "there"
                if not resource.is_there():
                    resource.create()
                    made.add(resource.kind, resource.name)
                    step.outcome = "created"
                if isinstance(resource, Index):
                    step.outcome += self._create_properties(resource)

    @staticmethod
    def _create_properties(index: Index) -> str:
        index.check()
        missing = [name for name, _ in index.missing_properties()]
        if not missing:
            return ""
        has_vectors = index.vectors() > 0
        index.create_properties()
        note = f", with metadata indexes of {', '.join(missing)}"
        return note + (
            " (documents that are there are not found by them until they are added anew)" if has_vectors else ""
        )

    def _migrate(self, account: Account) -> None:
        """Bring the databases up to date before the new code serves. Migrations only add, so that the old code keeps
        working."""
        folders = {
            each["database_name"]: each.get("migrations_dir", "migrations")
            for each in self._target.configuration.get("d1_databases", [])
        }
        for database in resources.databases(account, self._target):
            folder = folders[database.name]
            if not folder:
                continue
            with self._report.step(f"migrations of {database.name}") as step:
                missing = database.missing_migrations(self._target.root / folder)
                step.outcome = f"{len(missing)} applied" if missing else "up to date"
                if missing:
                    self._apply(database.name)

    def _apply(self, database: str) -> None:
        try:
            self._commands.wrangler("d1", "migrations", "apply", database, "--remote", "--config", self._file)
        except CommandError as error:
            raise error.explained(f"apply the migrations of {database}", resources.DATABASES) from error

    def _upload(self, account: Account, built: Bundle, before: Version | None, secrets: Secrets) -> tuple[str, bool]:
        """Return the id of the version with this content, and whether it was uploaded now."""
        target, unfinished = self._target, self._unfinished(account)
        begun = unfinished.read()
        with self._report.step(f"Worker {target.worker}") as step:
            # an upload that was cut off may lack the steps after the version: its address, its Workflows
            if before and before.tag == built.tag and not secrets.values and not begun:
                step.outcome = f"unchanged, version {before.id}"
                return before.id, False
            if not bundle.is_there(account, target):
                made = Made(target.root, account.id, target.worker)
                made.add(WORKER, target.worker)
                for name in target.named("workflows"):
                    made.add(WORKFLOW, name)
            # a version whose smoke test did not finish is not one to go back to
            is_untried = begun is not None and before is not None and begun.tag == before.tag
            good = begun.before if begun and is_untried else before and before.id
            unfinished.start(Upload(built.tag, good))
            # stored first: if the upload fails, the next run uploads the same secrets
            note = credentials.keep(target, secrets)
            self._unseen_key = "" if secrets.is_from_environment else secrets.new_key
            version = bundle.upload(target, self._file, built.tag, secrets.values, self._commands)
            step.outcome = f"uploaded, version {version}" + (
                f", with {', '.join(secrets.names)}" if secrets.names else ""
            )
        if note:
            self._report.say(f"  {note}")
        return version, True

    def _unfinished(self, account: Account) -> Unfinished:
        return Unfinished(self._target.root, account.id, self._target.worker)

    def _address(self, account: Account) -> str:
        """Return the Worker's address: --address, else its custom domain, else workers.dev."""
        if self._options.address:
            return self._options.address.rstrip("/")
        if domain := self._target.custom_domain:
            return f"https://{domain}"
        if not self._target.is_on_workers_dev:
            raise DeployError(
                "wrangler.jsonc has no address for the smoke test: the Worker is not on workers.dev (workers_dev is "
                "false, or there are routes), and no route is a custom domain. Say with --address where it is reached."
            )
        return f"https://{self._target.worker}.{self._subdomain(account)}.workers.dev"

    def _subdomain(self, account: Account) -> str:
        """Return the account's name under workers.dev. Registers that of --subdomain if there is none."""
        with account.reach("read the workers.dev subdomain"):
            with contextlib.suppress(NotFoundError):
                if subdomain := account.api.get(SUBDOMAIN)["subdomain"]:
                    return subdomain
            if not self._options.subdomain:
                raise DeployError(
                    "This account has no workers.dev subdomain, which is part of every Worker's address: choose one "
                    f"with scripts/deploy --subdomain NAME (https://{self._target.worker}.NAME.workers.dev)."
                )
        with account.reach(f"register the workers.dev subdomain {self._options.subdomain}"):
            account.api.put(SUBDOMAIN, body={"subdomain": self._options.subdomain})
        return self._options.subdomain

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _conclude(self, account: Account, address: str, version: str, outcomes: list[Outcome], *, is_new: bool) -> int:
        """Go back if the smoke test failed, show the outcome, and return the exit status."""
        failed = [each.name for each in outcomes if each.status == "failed"]
        verdict = "works"
        if failed:
            verdict = f"FAILS the smoke test: {', '.join(failed)}. {self._go_back(account, version, is_new=is_new)}"
        else:
            self._unfinished(account).end()
        self._report.say()
        self._report.table([each.row for each in outcomes])
        self._report.result(
            f"\n{self._target.worker} {verdict}\n{address}",
            ok=not failed,
            worker=self._target.worker,
            environment=self._target.title,
            account=account.id,
            address=address,
            version=version,
            checks=[each.as_json() for each in outcomes],
            verdict=verdict,
            api_key=self._unseen_key or None,
        )
        if self._options.as_json:
            self._unseen_key = ""
        return 1 if failed else 0

    def _go_back(self, account: Account, version: str, *, is_new: bool) -> str:
        """Give the traffic back to the version before. Returns what was done, for people."""
        if not is_new:
            return "It is the version that was deployed already: it was left as it is."
        begun = self._unfinished(account).read()
        before = begun.before if begun else None
        try:
            done = self._taken_back(account, version, before)
        except DeployError as error:
            return (
                f"GOING BACK FAILED: {error} Until then version {version} answers. Run scripts/deploy again, or choose "
                f"version {before} in {DASHBOARD}."
            )
        self._unfinished(account).end()
        return done

    def _taken_back(self, account: Account, version: str, before: str | None) -> str:
        """Do what `_go_back` does. Raises DeployError if it fails."""
        if self._options.keep:
            return "It was left as it is (--keep)."
        if before is None:
            return "There is no version before it to go back to: it was left as it is."
        now = bundle.active(account, self._target)
        if now is None or now.id != version:
            return "Meanwhile somebody else has deployed: theirs was left as it is."
        with self._report.step(f"rolling back to version {before}"):
            bundle.roll_back(self._target, self._file, before, self._commands)
        return f"It was taken back: version {before} answers again. The database keeps its new tables."

    def _show_key(self) -> None:
        """Show the new API key, also after a failure: nobody else has it."""
        if self._unseen_key:
            self._report.say("\nAn API key for this deployment, shown this once:")
            self._report.key(self._unseen_key)
