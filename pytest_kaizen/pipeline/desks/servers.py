"""What people do by hand over a server, of ours or of the platform itself.

The methods are those of the local store's desks: ``LocalDesk`` over Kayba's API, ``LocalKalmia`` over
Kalmia's. What an API has no word for is refused with a clear error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ...errors import KaybaAPIError, UsageError
from ...models import Trace
from ...platforms.kalmia import Experiment
from ...platforms.kalmia.arrived import arrived
from ...platforms.kalmia.client import KalmiaClient
from ...platforms.kalmia.trace_wire import KalmiaTrace
from ...platforms.kayba.client import KaybaClient
from ..tally import figures_of

if TYPE_CHECKING:
    from ..trace_files import NewFile
    from .kalmia import ExperimentView, FoundTrace

#: Files in one request, and characters in them at the most, where that is more than one file.
_FILES = 100
_CHARACTERS = 4_000_000


class ServerDesk:
    """A server, behind the same calls as the local store.

    All methods raise ``KaybaAPIError`` where a call fails, and ``UsageError`` for what the API cannot do.

    Args:
        client: Knows where the server is.
    """

    #: Whether jobs are done in this process.
    here: Literal[False] = False

    def __init__(self, client: KaybaClient) -> None:
        self._client = client

    def list_traces(self, limit: int | None = None, task: str | None = None) -> list[dict[str, Any]]:
        """Return traces without their content, the newest first where the server lists them so."""
        _refuse("--task", task)
        traces: list[dict[str, Any]] = self._client.list_traces()["traces"]
        return traces[:limit]

    def upload_traces(self, files: Iterable[NewFile], task: str | None = None) -> dict[str, Any]:
        """Upload files and return ``{"count", "traces": […]}``; many of them in several requests."""
        _refuse("--task", task)
        every = list(files)
        traces: list[dict[str, Any]] = []
        for part in _parts(every):
            sent = [
                {"filename": file.filename, "content": file.content, "fileType": file.file_type}
                for file in part
            ]
            try:
                traces += self._client.upload_traces(sent)["traces"]
            except KaybaAPIError as exc:
                if not traces:
                    raise
                said = f"{len(traces)} of {len(every)} files were uploaded before: {exc.message}"
                raise KaybaAPIError(exc.code, said, exc.status_code, exc.detail) from exc
        return {"count": len(traces), "traces": traces}

    def get_trace(self, trace_id: str) -> dict[str, Any]:
        """Return a trace with its ``content``."""
        return self._client.get_trace(trace_id)

    def delete_traces(self, trace_ids: Sequence[str]) -> dict[str, Any]:
        """Delete traces and return ``{"deleted": […], "errors": [{"id", "error"}, …]}``."""
        return self._client.delete_traces(trace_ids)

    def generate_insights(
        self,
        trace_ids: Sequence[str] | None = None,
        *,
        task: str | None = None,
        anthropic_key: str | None = None,
        **settings: Any,
    ) -> tuple[str, int]:
        """Start a job that draws insights from traces; the server does it.

        Returns:
            The job's id, and how many traces it draws from.

        Args:
            trace_ids: The traces; None for all.
            task: Kayba's API knows none.
            anthropic_key: The key that the server is to ask the model with; None for the server's own.
            settings: ``model``, ``epochs`` and ``reflector_mode``; None for the server's defaults.
        """
        _refuse("--task", task)
        count = len(self.list_traces()) if trace_ids is None else len(trace_ids)
        job_id = self._client.generate_insights(trace_ids, anthropic_key=anthropic_key, **settings)["jobId"]
        return job_id, count

    def get_job(self, job_id: str) -> dict[str, Any]:
        """Return how a job stands."""
        return self._client.get_job(job_id)

    def list_jobs(self, limit: int, task: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """Return how jobs stand, the newest first; of one task or kind only, where given."""
        return self._client.list_jobs(task, kind, limit)

    def stop_job(self, job_id: str) -> dict[str, Any]:
        """Stop a job at its next step, and return how it stands."""
        return self._client.cancel_job(job_id)

    def materialize_job(self, job_id: str) -> dict[str, Any]:
        """See to it that a job's insights are in the skillbook; a second time changes nothing."""
        return self._client.materialize_job(job_id)

    def list_insights(
        self, status: str | None = None, section: str | None = None, task: str | None = None
    ) -> list[dict[str, Any]]:
        """Return insights, of one status or section only, where given."""
        _refuse("--task", task)
        insights: list[dict[str, Any]] = self._client.list_insights(status, section)["insights"]
        return insights

    def triage_insights(
        self,
        accept: Sequence[str] = (),
        reject: Sequence[str] = (),
        *,
        accept_all: bool = False,
        note: str | None = None,
    ) -> list[dict[str, Any]]:
        """Accept and reject insights, one by one, and return them.

        Args:
            accept: Ids or unambiguous beginnings.
            reject: The same.
            accept_all: Accept all that wait for a decision, but those in ``reject``.
            note: Why.

        Raises:
            UsageError: An id stands for none or several, or for one to accept and to reject; then
                nothing is changed.
        """
        every = self.list_insights()
        wanted = {_meant(every, given): "accepted" for given in accept}
        for given in reject:
            insight_id = _meant(every, given)
            if insight_id in wanted:
                raise UsageError(f"insight {insight_id} is to be accepted and rejected")
            wanted[insight_id] = "rejected"
        if accept_all:
            wanted = {insight["id"]: "accepted" for insight in self.list_insights("pending")} | wanted
        return [self._client.triage_insight(given, status, note) for given, status in wanted.items()]

    def generate_prompt(
        self, insight_ids: Sequence[str] | None = None, label: str | None = None, task: str | None = None
    ) -> tuple[dict[str, Any], list[str]]:
        """Make a prompt from insights; return ``{"promptId", "version", "content", …}`` and how it came."""
        made = self._client.generate_prompt(insight_ids, label, task)
        return made, [f"{made['promptId']}: version {made['version']}"]

    def list_prompts(self, task: str | None = None) -> list[dict[str, Any]]:
        """Return prompts without their texts, the newest first."""
        return self._client.list_prompts(task)

    def get_prompt(self, wanted: str | None = None, task: str | None = None) -> dict[str, Any]:
        """Return ``{"id", "version", "label", "content": {"text"}}``, of the newest prompt by default.

        Raises:
            UsageError: There is none.
        """
        if wanted is None:
            prompts = self.list_prompts(task)
            if not prompts:
                raise UsageError("there are no prompts yet; make one: `kaizen prompts generate`")
            wanted = prompts[0]["id"]
        return self._client.get_prompt(wanted)

    def get_integrations(self) -> dict[str, Any]:
        """Return the settings of the integrations by their names, the secrets masked."""
        return self._client.get_integrations()

    def update_integration(self, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings of an integration and return them, the secrets masked."""
        return self._client.update_integration(name, settings)

    def test_integration(self, name: str) -> dict[str, Any]:
        """Try the connection of an integration and return ``{"connected", "error"?, …}``."""
        return self._client.test_integration(name)

    def forget_integration(self, name: str) -> None:
        """Delete what is set of an integration, its secret too."""
        self._client.forget_integration(name)

    def list_projects(self, name: str) -> list[dict[str, Any]]:
        """Return the projects or experiments of an integration: ``{"id", "name"}`` each."""
        projects: list[dict[str, Any]] = self._client.list_projects(name)["projects"]
        return projects

    def import_traces(self, name: str, project: str | None, since: datetime | None, limit: int | None) -> str:
        """Start a job that imports traces, and return its id; the server does it."""
        job_id: str = self._client.import_traces(name, project, since, limit)["jobId"]
        return job_id


def _refuse(option: str, value: str | None) -> None:
    if value is not None:
        raise UsageError(f"{option}: Kayba's API, which this speaks to a server, has no word for it")


def _parts(files: Sequence[NewFile]) -> Iterable[list[NewFile]]:
    part: list[NewFile] = []
    characters = 0
    for file in files:
        if part and (len(part) == _FILES or characters + len(file.content) > _CHARACTERS):
            yield part
            part, characters = [], 0
        part.append(file)
        characters += len(file.content)
    if part:
        yield part


def _meant(every: Sequence[dict[str, Any]], given: str) -> str:
    ids = [str(insight["id"]) for insight in every]
    found = [known for known in ids if known == given] or [
        known for known in ids if given and known.startswith(given)
    ]
    if len(found) != 1:
        raise UsageError(f"{'several insights are' if found else 'no insight is'} meant by {given!r}")
    return found[0]


class ServerKalmia(KalmiaClient):
    """A server of ours or Kalmia itself: its client, with traces as ours.

    Of a trace they say what Kalmia's API has words for: no run, task, case, sample or rating.
    """

    # What works on the local store is loaded for these two only.

    def view_experiment(self, experiment_id: str) -> ExperimentView:
        """Return an experiment with its traces and their figures as they stand."""
        from .kalmia import ExperimentView

        found = self.get_experiment(experiment_id)
        traces = [_ours(trace) for trace in found.traces]
        return ExperimentView(
            Experiment.model_validate(found.model_dump(include=set(Experiment.model_fields))),
            found.metrics or figures_of(traces),
            traces,
        )

    def find_traces(self, query: str, project: str | None, limit: int) -> list[FoundTrace]:
        """Find traces by words, in the order of the server."""
        from .kalmia import FoundTrace

        found = self.search_traces(query, project, limit)
        return [FoundTrace(_ours(hit.trace), hit.score, hit.snippet) for hit in found.results]


def _ours(trace: KalmiaTrace) -> Trace:
    return arrived(None, trace, datetime.now(UTC))
