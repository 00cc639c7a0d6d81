"""A candidate's shadow analyses beside the results that were shown."""

from collections.abc import Iterable
from itertools import groupby

from codetect_shared.db import Database
from codetect_shared.tokens import Principal

from codetect_inference import queries, shadows
from codetect_inference.model_schemas import Comparison, ComparisonOut, ShadowState


async def compare(db: Database, who: Principal, name: str, version: str) -> Comparison:
    """How a version compares; only counts and means of all facilities. Raises ModelNotFound."""
    async with db.facility(who.facility_id) as session:
        row = await queries.model(session, name, version)
    async with db.system() as session:
        pairs, states = await shadows.compared(session, row.id)
    items = [ComparisonOut.model_validate(one) for one in pairs]
    return Comparison(
        name=name,
        version=version,
        overall=list(overall(items)),
        items=items,
        states=[ShadowState.model_validate(one) for one in states],
    )


def overall(items: Iterable[ComparisonOut]) -> Iterable[ComparisonOut]:
    """The facilities' figures taken together, each study counting once; items come by version and label."""
    for (against, label), group in groupby(items, lambda one: (one.against, one.label)):
        those = list(group)
        n = sum(one.studies for one in those)
        yield ComparisonOut(
            facility_id=None,
            against=against,
            label=label,
            studies=n,
            agreement=sum(one.agreement * one.studies for one in those) / n,
            mean_absolute_difference=sum(one.mean_absolute_difference * one.studies for one in those) / n,
            positive_shown=sum(one.positive_shown for one in those),
            positive_candidate=sum(one.positive_candidate for one in those),
            positive_both=sum(one.positive_both for one in those),
        )
