"""What people do with traces, insights and the prompts made of them, over the local store.

The methods take and return what Kayba's API does (``platforms.kayba``), as plain JSON values with
a few keys more, so that a command need not know whether it talks to a store or to a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from ...capture import Redactor
from ...config import Config
from ...errors import JobError, StoreError, UsageError
from ...models import Insight, InsightStatus, Job, JobStatus, PromptVersion
from ...platforms import kayba
from ...report.as_json import META_KEYS, trace_content, trace_json
from ...report.status import step_line, study_lines
from ...store import Store
from .. import jobs
from ..insights import Study, StudyEstimate, choose, draw_insights, estimate_study
from ..prompt_versions import SkillbookPrompt, find_insight, prompt_version, write_prompt
from ..search import dear_study_line
from ..trace_files import NewFile, file_traces

#: Seconds for an answer: a reflection takes longer than a judge's.
_TIMEOUT_S = 120.0


class StartedStudy(NamedTuple):
    """A job that draws insights.

    Attributes:
        job_id: Its id.
        traces: How many traces it draws from.
        notes: What is to be known before it spends anything: lines of text.
        doubt: What people may want to be asked about before; None where it costs little.
    """

    job_id: str
    traces: int
    notes: list[str]
    doubt: str | None


class LocalDesk:
    """The local store, behind the calls of the API.

    Args:
        config: The project.
        store: Its store.
        redactor: Takes secrets out of what is put in.
    """

    #: Whether jobs are done in this process.
    here: Literal[True] = True

    def __init__(self, config: Config, store: Store, redactor: Redactor) -> None:
        self._config = config
        self._store = store
        self._redactor = redactor
        self._started: dict[str, Job] = {}

    def list_traces(self, limit: int, task: str | None = None) -> list[dict[str, Any]]:
        """Return the newest traces without their content, with their tasks."""
        found = map(trace_json, self._store.traces(task=task, limit=limit))
        return [{key: trace[key] for key in (*META_KEYS, "task")} for trace in found]

    def upload_traces(self, files: Iterable[NewFile], task: str | None = None) -> dict[str, Any]:
        """Store files as traces and return ``{"count", "traces": […]}``; all of them or none."""
        traces = file_traces(files, self._redactor, task)
        self._store.shelf.add(traces)
        found = map(trace_json, traces)
        return {"count": len(traces), "traces": [{key: trace[key] for key in META_KEYS} for trace in found]}

    def get_trace(self, trace_id: str) -> dict[str, Any]:
        """Return a trace with its ``content``.

        Raises:
            StoreError: None or several are meant.
        """
        trace = self._store.trace(trace_id)
        return {**trace_json(trace), "content": trace_content(trace)}

    def delete_traces(self, trace_ids: Iterable[str]) -> dict[str, Any]:
        """Delete traces and return ``{"deleted": […], "errors": [{"id", "error"}, …]}``."""
        deleted, errors = [], []
        for trace_id in trace_ids:
            try:
                deleted.append(self._store.shelf.delete(trace_id))
            except StoreError as exc:
                errors.append({"id": trace_id, "error": str(exc)})
        return {"deleted": deleted, "errors": errors}

    def generate_insights(
        self,
        trace_ids: Sequence[str] | None = None,
        *,
        task: str | None = None,
        **settings: Any,
    ) -> StartedStudy:
        """Start a job that draws insights from traces; ``work`` then does it.

        Args:
            trace_ids: The traces; None for all.
            task: Of this task only.
            settings: Those of a ``Study``.

        Raises:
            UsageError: There is nothing to draw from.
            JobError: Such a job is under way.
        """
        chosen = choose(self._config, self._store, trace_ids, task)
        study = Study(chosen.traces, **settings)
        estimate = estimate_study(self._config, self._store, study)
        job = jobs.start(self._store, jobs.INSIGHTS, study.task, study.settings)
        return self._start(job, study, estimate, chosen.held_out)

    def resume_insights(self, job_id: str) -> StartedStudy:
        """Make this process go on with a job that was broken off; raises as ``jobs.claim``."""
        found = self._store.jobs.one(job_id)
        if found.kind != jobs.INSIGHTS:
            command = f"{found.kind} {found.task} --resume"
            if found.kind == jobs.IMPORT:
                command = f"integrations import {found.task}"
            raise UsageError(f"job {found.id} draws no insights; go on with it: `kaizen {command}`")
        study = Study(**found.settings)
        estimate = estimate_study(self._config, self._store, study)
        return self._start(jobs.claim(self._store, found.id), study, estimate, 0)

    def _start(self, job: Job, study: Study, estimate: StudyEstimate, held_out: int) -> StartedStudy:
        self._started[job.id] = job
        notes = study_lines(job.id, study.count, held_out, *estimate, study.budget_usd)
        return StartedStudy(job.id, study.count, notes, dear_study_line(estimate.usd, study.budget_usd))

    def stop_job(self, job_id: str) -> dict[str, Any]:
        """Stop a job, in whatever process it runs, and return how it stands; it can be gone on with."""
        return _job_json(jobs.stop(self._store, job_id))

    def work(self, job_id: str, anthropic_key: str | None, on_step: Callable[[str], None]) -> dict[str, Any]:
        """Do a started job in this process, and return what ``get_job`` does; see ``draw_insights``.

        Args:
            job_id: The job.
            anthropic_key: Goes before the environment's, and is not kept.
            on_step: Is told about progress, in lines of text.
        """
        job, timeout_s = self._started.pop(job_id), max(self._config.judge.timeout_s, _TIMEOUT_S)
        # Most commands ask no model, and no platform as those below do.
        from ...llm import AnthropicLLM
        from ...prices import load_prices

        llm = AnthropicLLM(load_prices(self._config.prices), timeout_s=timeout_s, api_key=anthropic_key)
        try:
            draw_insights(self._config, self._store, job, llm, lambda job: on_step(step_line(job)))
        finally:
            llm.close()
        return self.get_job(job_id)

    def get_job(self, job_id: str) -> dict[str, Any]:
        """Return how a job stands, with ``kind``, ``task``, ``step`` and ``spend``.

        Raises:
            StoreError: None or several are meant.
        """
        return _job_json(jobs.look_up(self._store, job_id))

    def list_jobs(self, limit: int, task: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """Return how jobs stand, the newest first; of one task or kind only, where given."""
        return [_job_json(job) for job in jobs.newest_of(self._store, task, kind, limit)]

    def materialize_job(self, job_id: str) -> dict[str, Any]:
        """See to it that a job's insights are in the skillbook; a second time changes nothing.

        They came there when it was completed, and wait for a person's decision.

        Raises:
            JobError: It is not completed, or draws no insights.
        """
        job = jobs.look_up(self._store, job_id)
        if job.kind != jobs.INSIGHTS or job.status is not JobStatus.COMPLETED:
            raise JobError(f"job {job.id} ({job.kind}) is {job.status.value}: it has no insights to write")
        if not job.result["materialized"]:
            jobs.amend(self._store, job, {**job.result, "materialized": True})
        return {"jobId": job.id, "skillsGenerated": job.result["skillsGenerated"]}

    def list_insights(
        self, status: str | None = None, section: str | None = None, task: str | None = None
    ) -> list[dict[str, Any]]:
        """Return insights, the newest first; of one status, section or task only, where given.

        The status ``new`` is another name for ``pending``.
        """
        found = self._store.insights(task, InsightStatus.PENDING if status == "new" else status)
        return [_insight_json(insight) for insight in found if section in (None, insight.section)]

    def triage_insights(
        self,
        accept: Sequence[str] = (),
        reject: Sequence[str] = (),
        *,
        accept_all: bool = False,
        note: str | None = None,
    ) -> list[dict[str, Any]]:
        """Accept and reject insights, all or none, and return them.

        Args:
            accept: Ids or unambiguous beginnings.
            reject: The same.
            accept_all: Accept all that wait for a decision, but those in ``reject``.
            note: Why.

        Raises:
            UsageError: An id stands for none or several, or for one to accept and to reject.
        """
        wanted = {find_insight(self._store, given).id: InsightStatus.ACCEPTED for given in accept}
        for given in reject:
            insight = find_insight(self._store, given)
            if insight.id in wanted:
                raise UsageError(f"insight {insight.id} is to be accepted and rejected")
            wanted[insight.id] = InsightStatus.REJECTED
        if accept_all:
            pending = self._store.insights(status=InsightStatus.PENDING)
            wanted = {insight.id: InsightStatus.ACCEPTED for insight in pending} | wanted
        update = {} if note is None else {"note": note}
        changed = [
            insight.model_copy(update={"status": wanted[insight.id], **update})
            for insight in self._store.insights()
            if insight.id in wanted
        ]
        self._store.save_insights(changed)
        return [_insight_json(insight) for insight in changed]

    def generate_prompt(
        self, insight_ids: Sequence[str] | None = None, label: str | None = None, task: str | None = None
    ) -> tuple[dict[str, Any], list[str]]:
        """Make a prompt from insights; return ``{"promptId", "version", "content", …}`` and how it came.

        Raises as ``write_prompt``.
        """
        made = write_prompt(self._config, self._store, insight_ids=insight_ids, task=task, label=label)
        version = made.version
        answer = kayba.GeneratedPrompt(
            prompt_id=version.id,
            version=version.version,
            label=label,
            content=kayba.PromptContent(text=version.text),
        )
        return answer.to_json(), _notes(made)

    def get_prompt(self, wanted: str | None = None, task: str | None = None) -> dict[str, Any]:
        """Return ``{"id", "version", "label", "content": {"text"}}``; see ``prompt_version``."""
        return _prompt_json(prompt_version(self._config, wanted, task))

    def get_integrations(self) -> dict[str, Any]:
        """Return the settings of the integrations by their names, the secrets masked."""
        from ..integrations import settings

        return {name: settings.stored(self._store, name).to_json() for name in settings.KNOWN}

    def update_integration(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings of an integration and return them, the secrets masked.

        Raises:
            UsageError: A value cannot be right.
        """
        from ...platforms import validation_text
        from ..integrations import settings

        try:
            changes = settings.known(name).config.model_validate(given)
        except ValidationError as exc:
            raise UsageError(f"{name}: {validation_text(exc)}") from None
        settings.change(self._store, name, changes)
        values: dict[str, Any] = settings.stored(self._store, name).to_json()
        return values

    def test_integration(self, name: str) -> dict[str, Any]:
        """Try the connection of an integration and return ``{"connected", "error"?, …}``."""
        from ..integrations import settings

        values: dict[str, Any] = settings.tested(self._store, name, allow_private=True).to_json()
        return values

    def forget_integration(self, name: str) -> None:
        """Delete what is set of an integration, its secret too."""
        from ..integrations import settings

        settings.forget(self._store, name)

    def list_projects(self, name: str) -> list[dict[str, Any]]:
        """Return the projects or experiments of an integration: ``{"id", "name"}`` each.

        Raises:
            UsageError: It is not set up.
            PlatformError: It cannot be asked.
        """
        from ...prices import load_prices
        from ..integrations import settings, understood

        price = load_prices(self._config.prices).cost
        source = settings.connect(self._store, name, allow_private=True, price=price)
        try:
            with understood(name):
                return [project._asdict() for project in source.projects()]
        finally:
            source.close()

    def import_traces(
        self,
        name: str,
        project: str | None,
        since: datetime | None,
        limit: int | None,
        on_step: Callable[[str], None],
    ) -> dict[str, Any]:
        """Import traces in this process and return what ``get_job`` does; raises as ``Importer.run``.

        Args:
            name: The integration.
            project: The project; the one that is set where it is None.
            since: Only traces begun since then; without a zone in UTC.
            limit: At most so many, the newest.
            on_step: Is told about progress, in lines of text.
        """
        from ...prices import load_prices
        from ..integrations import importing

        job = importing.start(self._store, importing.planned(self._store, name, project, since, limit))
        importing.Importer(
            store=self._store,
            redactor=self._redactor,
            price=load_prices(self._config.prices).cost,
            allow_private=True,
            pause=lambda job: on_step(job.step),
        ).run(job)
        return self.get_job(job.id)


def _notes(made: SkillbookPrompt) -> list[str]:
    """Say in lines of text what became of the insights."""
    version, count = made.version, len(made.added)
    lines = [f"left out, because it names a variable: {text}" for text in made.left_out]
    lines += [f"warning: these contradict each other: {one} / {two}" for one, two in made.clashing]
    if not made.new:
        return [*lines, f"{version.id} has all these insights already; nothing was written"]
    use = f"to use it: kaizen prompts activate {version.task} {version.version}"
    state = "it is active" if made.active == version.version else use
    return [*lines, f"{version.id}: written with {count} more rule{'s' * (count != 1)}; {state}"]


def _prompt_json(version: PromptVersion) -> dict[str, Any]:
    prompt = kayba.Prompt(
        id=version.id,
        version=version.version,
        label=version.note,
        content=kayba.PromptContent(text=version.text),
    )
    values: dict[str, Any] = prompt.to_json()
    return values


def _insight_json(insight: Insight) -> dict[str, Any]:
    values = insight.model_dump(mode="json")
    known = kayba.Insight(
        id=insight.id,
        section=insight.section,
        content=insight.text,
        status=insight.status.value,
        evidence=values["evidence"],
        justification=insight.justification,
        confidence=insight.confidence,
        helpful=insight.helpful,
        harmful=insight.harmful,
        note=insight.note,
    )
    more = {key: values[key] for key in ("task", "votes", "criterion", "contradicts")}
    return {**known.to_json(), **more, "createdAt": values["created_at"]}


def _job_json(job: Job) -> dict[str, Any]:
    values: dict[str, Any] = kayba.Job.of(job).to_json()
    return values
