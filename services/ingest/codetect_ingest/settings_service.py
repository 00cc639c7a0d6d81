"""How a facility wants its images treated: shown, changed by its admins, each change audited."""

from codetect_shared import audit
from codetect_shared.tokens import Principal
from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import problems
from codetect_ingest.facilities import tell_settings
from codetect_ingest.identities import settings_of
from codetect_ingest.models import FacilitySettings, Profile, Study
from codetect_ingest.schemas_life import SettingsOut, SettingsPatch


async def show(session: AsyncSession, who: Principal) -> SettingsOut:
    """Show the facility's settings; the defaults where it never said."""
    settings = await settings_of(session, who.facility_id)
    sealed = select(Study.id).where(Study.facility_id == who.facility_id, Study.sealed_identity.is_not(None))
    left = settings.forgetting and bool(await session.scalar(select(exists(sealed))))
    named = {name: getattr(settings, name) for name in SettingsPatch.model_fields}
    return SettingsOut.model_validate(named | {"forgetting": left})


async def change(session: AsyncSession, who: Principal, patch: SettingsPatch) -> SettingsOut:
    """Change what the request names; a profile that seals again ends the forgetting."""
    settings = await _locked(session, who)
    wanted = patch.model_dump(exclude_unset=True)
    changes = {
        name: [getattr(settings, name), value] for name, value in wanted.items() if getattr(settings, name) != value
    }
    for name, (_, value) in changes.items():
        setattr(settings, name, value)
    if settings.profile == Profile.SEAL:
        settings.forgetting = False
    if changes:
        await session.flush()
        await audit.record(session, who, "settings.change", target="settings/ingest", detail=changes)
        await tell_settings(session, settings)
    return await show(session, who)


async def forget(session: AsyncSession, who: Principal) -> SettingsOut:
    """Have all sealed identities of the facility erased, and what comes sealed late. Raises NotForgetful."""
    settings = await _locked(session, who)
    if settings.profile != Profile.FORGET:
        raise problems.NotForgetful("Set `profile` to `forget` first; otherwise what comes next would be sealed again.")
    settings.forgetting = True
    await session.flush()
    await audit.record(session, who, "identities.forget", target="settings/ingest")
    return await show(session, who)


async def _locked(session: AsyncSession, who: Principal) -> FacilitySettings:
    """Return the facility's own row, made of the defaults at its first change; changes come one after the other."""
    defaults = await settings_of(session, who.facility_id)
    row = {name: getattr(defaults, name) for name in FacilitySettings.__table__.columns.keys()}  # noqa: SIM118
    await session.execute(insert(FacilitySettings).values(row).on_conflict_do_nothing())
    mine = select(FacilitySettings).where(FacilitySettings.facility_id == who.facility_id).with_for_update()
    return (await session.scalars(mine.execution_options(populate_existing=True))).one()
