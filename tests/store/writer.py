"""A process that stores samples: ``writer.py STORE RUN COUNT PAGES``.

Each is announced when it is stored; the log is folded into the database from PAGES pages on.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from pytest_kaizen.models import Case, Run, Sample, Score, ScoreSource, Span, Trace, new_span_id
from pytest_kaizen.store import Store, sqlite


def main() -> None:
    where, run_id, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    vars(sqlite)["_CHECKPOINT_PAGES"] = int(sys.argv[4])
    now = datetime.now(UTC)
    with Store.open(where) as store:
        store.start_run(Run(id=run_id, created_at=now))
        case = Case(id="test_it", run_id=run_id, task="sum")
        store.finish_case(case.model_copy(update={"complete": False}), begins=True)
        for number in range(count):
            trace = Trace(
                id=f"{run_id}-{number}",
                run_id=run_id,
                task="sum",
                case_id="test_it",
                sample=number,
                name="test_it",
                created_at=now,
                output=f"{number}:" + "x" * 500,
                spans=[Span(id=new_span_id(), name="chat", started_at=now)],
                scores=[Score(name="polite", value=0.5, source=ScoreSource.CHECK)],
            )
            store.add_sample(case, Sample(trace=trace, passed=True))
            print(number, flush=True)


if __name__ == "__main__":
    main()
