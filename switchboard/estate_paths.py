"""Paths in an estate: written relative to its file, used from anywhere."""

from __future__ import annotations

from pathlib import Path

from switchboard.estate import Cohort, Credential, Estate, Secret, Target
from switchboard.yaml_lines import Loc


def trust_files(estate: Estate) -> list[tuple[Loc, Path]]:
    """Return the files of certificates that the estate names, with their places in its file."""
    places: list[tuple[Loc, Path | None]] = [(("production", "ca"), estate.production.ca)]
    places += [(("targets", name, "ca"), target.ca) for name, target in estate.targets.items()]
    return [(loc, ca) for loc, ca in places if ca is not None]


def resolve_paths(estate: Estate, base: Path) -> Estate:
    """Return the estate with every relative path joined to the folder `base`."""
    production = estate.production.model_copy(update={"ca": _below(base, estate.production.ca)})
    cohorts = {name: _resolved_cohort(cohort, base) for name, cohort in estate.cohorts.items()}
    targets = {name: _resolved_target(target, base) for name, target in estate.targets.items()}
    update = {"production": production, "cohorts": cohorts, "targets": targets}
    return estate.model_copy(update=update)


def _below(base: Path, path: Path | None) -> Path | None:
    return base / path if path is not None else None


def _resolved_secret(secret: Secret, base: Path) -> Secret:
    return secret.model_copy(update={"file": _below(base, secret.file)})


def _resolved_cohort(cohort: Cohort, base: Path) -> Cohort:
    users = {user: _resolved_secret(secret, base) for user, secret in cohort.users.items()}
    return cohort.model_copy(update={"users": users})


def _resolved_credential(credential: Credential, base: Path) -> Credential:
    if not isinstance(credential.twin, Secret):
        return credential
    return credential.model_copy(update={"twin": _resolved_secret(credential.twin, base)})


def _resolved_target(target: Target, base: Path) -> Target:
    compose = target.compose
    if compose is not None:
        compose = compose.model_copy(update={"file": base / compose.file})
    credentials = tuple(_resolved_credential(credential, base) for credential in target.credentials)
    update = {"ca": _below(base, target.ca), "compose": compose, "credentials": credentials}
    return target.model_copy(update=update)
