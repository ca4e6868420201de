"""From a request to the profile and the load that it names; refused before anything is sent or started."""

from __future__ import annotations

from core.errors import ConfigError
from core.request import Request
from targets.guard import refuse_unless_allowed, require_consent
from targets.load import Load, load_load
from targets.model import Profile, load_profile
from targets.secrets import ReadBlock, read_later

FAULTY_DIALECT = "portal"
"""Only the reference portal has faults that are switched on by name."""


def resolve(request: Request, read_block: ReadBlock = read_later) -> tuple[Profile, Load]:
    """The profile's passwords in Prefect's blocks are empty unless `read_block` gives them.

    ConfigError when profile, load or scenario do not exist; TargetRefused when the target may not take load."""
    profile = load_profile(request.target, read_block)
    load = _load(request)
    require_consent(profile, request.i_mean)
    refuse_unless_allowed(profile)
    unknown = set(request.scenario) - set(profile.scenarios)
    if unknown:
        raise ConfigError(
            f"target '{profile.name}' has no scenario {', '.join(sorted(unknown))}",
            cure=f"It has: {', '.join(profile.scenarios)}.",
        )
    if request.fault and profile.dialect != FAULTY_DIALECT:
        raise ConfigError(f"target '{profile.name}' has no faults to switch on", cure="Only --target portal has them.")
    return profile, load


def _load(request: Request) -> Load:
    """The load with what the request says besides."""
    load = load_load(request.load)
    if request.generators is not None:
        load = load.model_copy(update={"generators": request.generators})
    if load.generators > 1 and load.segment_s is not None:
        raise ConfigError(
            f"load '{load.name}' is cut into segments of {load.segment_s:.0f} s, which one generator puts",
            where="generators",
            cure="Leave --generators out, or segment_s in the load.",
        )
    return load
