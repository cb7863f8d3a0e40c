"""Paths in an estate: written relative to its file, used from anywhere."""

from __future__ import annotations

from pathlib import Path

from switchboard.estate import Cohort, Credential, Estate, Mock, Secret, Target, TemplateFile
from switchboard.yaml_lines import Loc


def trust_files(estate: Estate) -> list[tuple[Loc, Path]]:
    """Return the files of certificates that the estate names, with their places in its file."""
    places: list[tuple[Loc, Path | None]] = [(("production", "ca"), estate.production.ca)]
    places += [(("targets", name, "ca"), target.ca) for name, target in estate.targets.items()]
    return [(loc, ca) for loc, ca in places if ca is not None]


def mock_files(estate: Estate) -> list[tuple[Loc, Path]]:
    """Return the files that mocks answer with, templates included, with their places in the estate's file."""
    found: list[tuple[Loc, Path]] = []
    for name, target in estate.targets.items():
        for index, mock in enumerate(target.mocks):
            loc: Loc = ("targets", name, "mocks", index)
            if mock.file is not None:
                found.append(((*loc, "file"), mock.file))
            if isinstance(mock.template, TemplateFile):
                found.append(((*loc, "template", "file"), mock.template.file))
    return found


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


def _resolved_mock(mock: Mock, base: Path) -> Mock:
    template = mock.template
    if isinstance(template, TemplateFile):
        template = TemplateFile(file=base / template.file)
    elif mock.file is None:
        return mock
    return mock.model_copy(update={"file": _below(base, mock.file), "template": template})


def _resolved_target(target: Target, base: Path) -> Target:
    compose = target.compose
    if compose is not None:
        compose = compose.model_copy(update={"file": base / compose.file})
    credentials = tuple(_resolved_credential(credential, base) for credential in target.credentials)
    mocks = tuple(_resolved_mock(mock, base) for mock in target.mocks)
    update = {"ca": _below(base, target.ca), "compose": compose, "credentials": credentials, "mocks": mocks}
    return target.model_copy(update=update)
