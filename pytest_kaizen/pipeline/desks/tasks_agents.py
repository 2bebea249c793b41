"""Tasks with their feedback, agents with their runs, over the local store.

The calls are those of Kaizen CT's and of Kate's client, so that a command need not know whether it
speaks to the store or to a server; Kate's are awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from ... import models
from ...capture import Redactor
from ...config import Config
from ...errors import StoreError, UsageError
from ...models import AgentRunStatus, Task
from ...platforms.kaizen_ct import FeedbackResult, SeedResult
from ...platforms.kaizen_ct.task_wire import Task as WireTask
from ...platforms.kate import Agent, EvalSummary, NewSpan, Run, SpanList, SpansUploaded, Trigger
from ...store import Store
from .. import jobs
from ..reported import add_spans, agent_of_first_run, score_trace, trace_of


class LocalCT:
    """The local store, behind those calls.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def list_tasks(self) -> list[WireTask]:
        """Return all tasks, the newest first."""
        return [self._shown(task) for task in self._store.tasks.newest()]

    def get_task(self, task_id: str) -> WireTask:
        """Return a task by its id or name; raises as ``find_task``."""
        return self._shown(find_task(self._store, task_id))

    def add_task(self, task: Task) -> WireTask:
        """Store a new task.

        Raises:
            UsageError: Its name is taken.
        """
        if not self._store.tasks.add(task):
            raise UsageError(f"a task '{task.name}' is there already: `kaizen tasks show {task.name}`")
        return self._shown(task)

    def delete_task(self, task_id: str) -> None:
        """Delete a task with its feedback; its traces and prompts stay. Raises as ``find_task``."""
        self._store.tasks.delete(find_task(self._store, task_id).id)

    def seed_task(self, task_id: str, content: str, redactor: Redactor) -> SeedResult:
        """Give a task the examples of a file, a JSON object on each line; raises as ``find_task``."""
        # What searches with feedback, which no other call here needs.
        from ..feedback.logged import add_seeds, read_seeds

        task = find_task(self._store, task_id)
        return add_seeds(self._store, task, read_seeds(content), redactor, datetime.now(UTC))

    def list_feedback(self, task_id: str, limit: int = 50) -> list[FeedbackResult]:
        """Return the feedback of a task, the newest first; raises as ``find_task``."""
        task = find_task(self._store, task_id)
        return [FeedbackResult.of(entry) for entry in self._store.feedback.newest(task.id, limit=limit)]

    def score(self, trace_id: str, score: float, scored_by: str) -> None:
        """Give a trace a score; it is feedback where the task's feedback is traces.

        Raises:
            StoreError: There is no such trace, or several are meant.
        """
        score_trace(self._store, self._store.trace(trace_id), score, scored_by)

    def _shown(self, task: Task) -> WireTask:
        return WireTask.of(task, self._store.feedback.count(task.id))


def find_task(store: Store, id_or_name: str) -> Task:
    """Return a task.

    Raises:
        UsageError: There is none of that name or id.
    """
    task = store.tasks.find(id_or_name)
    if task is None:
        names = ", ".join(sorted(found.name for found in store.tasks.newest()))
        raise UsageError(f"no task '{id_or_name}' has feedback here (there are: {names or 'none'})")
    return task


class LocalKate:
    """The local store, behind those calls; all raise ``StoreError`` for what is not there.

    Args:
        config: The project.
        store: Its store.
        redactor: Takes secrets out of what is put in.

    Attributes:
        agents: The agents.
        runs: An agent's runs and their spans.
        evals: What the evaluation of an agent's runs says.
    """

    def __init__(self, config: Config, store: Store, redactor: Redactor) -> None:
        self.agents = LocalAgents(store, redactor)
        self.runs = LocalRuns(store, redactor)
        self.evals = LocalEvals(config, store)


class LocalAgents:
    """The agents of a store; as ``KateClient.agents``."""

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self._store = store
        self._redactor = redactor

    async def list(self) -> list[Agent]:
        """Return all agents, the newest first."""
        return [Agent.of(known) for known in self._store.agents.newest()]

    async def get(self, agent_id: str) -> Agent:
        """Return an agent."""
        return Agent.of(_agent_of(self._store, agent_id))

    async def create(self, name: str, domain: str = "general", objective: str | None = None) -> Agent:
        """Make an agent, with a new id."""
        now = datetime.now(UTC)
        given = self._redactor.data({"name": name, "domain": domain, "objective": objective})
        made = models.Agent(**given, created_at=now, updated_at=now)
        self._store.agents.add(made)
        return Agent.of(made)

    async def update(
        self,
        agent_id: str,
        *,
        name: str | None = None,
        domain: str | None = None,
        objective: str | None = None,
    ) -> Agent:
        """Change an agent; what is None stays."""
        given = {"name": name, "domain": domain, "objective": objective}
        changes = self._redactor.data({key: value for key, value in given.items() if value is not None})
        update = {**changes, "updated_at": datetime.now(UTC)}
        changed = _agent_of(self._store, agent_id).model_copy(update=update)
        self._store.agents.update(changed)
        return Agent.of(changed)

    async def delete(self, agent_id: str) -> None:
        """Delete an agent with its runs; the traces of the runs stay."""
        self._store.agents.delete(_agent_of(self._store, agent_id).id)


class LocalRuns:
    """The runs of a store's agents; as ``KateClient.runs``."""

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self._store = store
        self._redactor = redactor

    async def list(self, agent_id: str, limit: int = 5, offset: int = 0) -> list[Run]:
        """Return runs, the newest first."""
        agent = _agent_of(self._store, agent_id)
        return [Run.of(run) for run in self._store.agents.runs(agent.id, limit, offset)]

    async def create(
        self, agent_id: str, trigger: Trigger = "manual", run_id: UUID | str | None = None
    ) -> Run:
        """Begin a run; the first one of an agent with a name makes the agent."""
        run = models.AgentRun(agent_id=agent_id, trigger=trigger, created_at=datetime.now(UTC))
        if run_id is not None:
            run.id = _run_id(run_id)
        if self._store.agents.one(agent_id) is None:
            agent = agent_of_first_run(run)
            if agent is None:
                raise StoreError(
                    f"there is no agent {agent_id!r}, and no run makes one with such an id: "
                    "`kaizen agents create NAME`"
                )
            self._store.agents.add(agent)
        if not self._store.agents.add_run(run):
            raise StoreError(f"there is a run {run.id!r} already")
        return Run.of(run)

    async def get(self, agent_id: str, *, run_id: UUID | str) -> Run:
        """Return a run as it stands."""
        return Run.of(_run_of(self._store, agent_id, run_id))

    async def complete(self, agent_id: str, *, run_id: UUID | str) -> Run:
        """End a run; one that is completed already stays as it is."""
        run = _run_of(self._store, agent_id, run_id)
        if run.status is AgentRunStatus.RUNNING:
            update = {"status": AgentRunStatus.COMPLETED, "completed_at": datetime.now(UTC)}
            run = run.model_copy(update=update)
            self._store.agents.update_run(run)
        elif run.status is not AgentRunStatus.COMPLETED:
            raise StoreError(f"run {run.id!r} is {run.status}; only a running one is completed")
        return Run.of(run)

    async def spans(self, agent_id: str, *, run_id: UUID | str) -> SpanList:
        """Return a run's spans and how many there are."""
        trace = trace_of(self._store, _run_of(self._store, agent_id, run_id))
        return SpanList.of([] if trace is None else trace.spans)

    async def upload_spans(
        self, agent_id: str, *, run_id: UUID | str, spans: Sequence[NewSpan]
    ) -> SpansUploaded:
        """Add spans to a run that has not ended."""
        run = _run_of(self._store, agent_id, run_id)
        if run.status is not AgentRunStatus.RUNNING:
            raise StoreError(f"run {run.id!r} is {run.status}; only a running one takes spans")
        now = datetime.now(UTC)
        made = self._redactor.data([span.to_span(now) for span in spans])
        add_spans(self._store, _agent_of(self._store, agent_id), run, made)
        return SpansUploaded(uploaded=len(made), span_ids=[span.id for span in made])


class LocalEvals:
    """What the evaluation of an agent's runs says; as ``KateClient.evals``."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store

    async def summary(self, agent_id: str) -> EvalSummary:
        """Return the summary over an agent's runs."""
        # Rubrics and all that evaluates by them, which no other command here needs.
        from ..observing import summary_of

        return summary_of(self._config, self._store, _agent_of(self._store, agent_id))

    def evaluate(self, agent_id: str, *, run_id: UUID | str, on_step: Callable[[str], None]) -> str | None:
        """Evaluate a run that is completed, in this process, as a server does by itself.

        Args:
            agent_id: The agent.
            run_id: The run.
            on_step: Is told about progress, in lines of text.

        Returns:
            Why it was not evaluated; None when it was.

        Raises:
            JobError: Another run of the agent is being evaluated.
            RubricError: The agent's rubric cannot be read.
            ScoreError: The run cannot be scored: the judge failed, or its answer could not be read.
            StoreError: There is no such run.
        """
        from ...llm import AnthropicLLM
        from ...prices import load_prices
        from ..observing import EVALUATION_TIMEOUT_S, evaluate, rubric_of, why_not_evaluated

        config, store = self._config, self._store
        agent, run = _agent_of(store, agent_id), _run_of(store, agent_id, run_id)
        if run.overall_score is not None:
            return "it was evaluated before"
        trace, now = trace_of(store, run), datetime.now(UTC)
        why = why_not_evaluated(config, store, agent, trace, now)
        if why is not None or trace is None:
            return why
        timeout_s = max(config.judge.timeout_s, EVALUATION_TIMEOUT_S)
        llm = AnthropicLLM(load_prices(config.prices), timeout_s=timeout_s)
        try:
            if rubric_of(config, agent).judged and not llm.has_key():
                return "there is no key for the judge: set ANTHROPIC_API_KEY, and give the same command again"
            settings = {"run": run.id, "trace": trace.id}
            job = jobs.start(store, jobs.EVALUATION, agent.id, settings)
            evaluate(config, store, job, llm, lambda job: on_step(job.step))
        finally:
            llm.close()
        return None


def _agent_of(store: Store, agent_id: str) -> models.Agent:
    agent = store.agents.one(agent_id)
    if agent is None:
        raise StoreError(f"there is no agent {agent_id!r}; `kaizen agents list` shows them")
    return agent


def _run_of(store: Store, agent_id: str, run_id: UUID | str) -> models.AgentRun:
    _agent_of(store, agent_id)
    run = store.agents.run(agent_id, _run_id(run_id))
    if run is None:
        raise StoreError(f"agent {agent_id!r} has no run {str(run_id)!r}")
    return run


def _run_id(given: UUID | str) -> str:
    try:
        return str(UUID(str(given)))
    except ValueError:
        raise StoreError(f"the id of a run is a UUID (found {str(given)!r})") from None
