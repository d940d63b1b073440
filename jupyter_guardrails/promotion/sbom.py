"""evidence/sbom.cdx.json: what both locks hold, as CycloneDX 1.6. The same locks give the same text: no time, and a serial number made of them."""

from __future__ import annotations

import json
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from jupyter_guardrails.package import canonical
from jupyter_guardrails.promotion.interpreter import Installed
from jupyter_guardrails.promotion.locks import canonical_name

SERIALS = uuid.UUID("0c1a2f0e-9d58-4c7b-8c55-6a1f0a3f9d21")
ENVIRONMENT = "guardrails:environment"  # kernel or runner


def sbom_text(job: str, locks: Mapping[str, str], installed: Iterable[Installed]) -> str:
    """The bill of a job's two environments (`kernel`, `runner` -> text of the lock), with the licences that its kernel's packages say they have."""
    licences = {canonical_name(package.name): package.license for package in installed}
    root = Component(name=job, type=ComponentType.APPLICATION, bom_ref=f"job/{job}")
    parts = [part for kind, lock in sorted(locks.items()) for part in _components(kind, lock, licences)]
    bom = Bom(serial_number=uuid.uuid5(SERIALS, "\n".join(f"{kind}\n{lock}" for kind, lock in sorted(locks.items()))), components=parts)
    bom.metadata.component = root
    bom.register_dependency(root, parts)
    said: dict[str, Any] = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    del said["metadata"]["timestamp"]
    return canonical.dumps(said)


def _components(kind: str, lock: str, licences: Mapping[str, str]) -> Iterator[Component]:
    for package in tomllib.loads(lock).get("packages", ()):
        name, version = str(package["name"]), str(package["version"])
        licence = licences.get(canonical_name(name), "") if kind == "kernel" else ""
        yield Component(
            name=name,
            version=version,
            bom_ref=f"{kind}/{name}@{version}",
            purl=PackageURL("pypi", None, canonical_name(name), version),
            licenses=[_licence(licence)] if licence else (),
            external_references=[_file(wheel) for wheel in package["wheels"]],
            properties=[Property(name=ENVIRONMENT, value=kind)],
        )


def _licence(text: str) -> License:
    """An SPDX expression or id where it is one, else the name as it stands."""
    return LicenseFactory().make_from_string(text)


def _file(wheel: Mapping[str, Any]) -> ExternalReference:
    """One wheel of the lock: any index that has these bytes will do."""
    name = str(wheel["path"]).rsplit("/", 1)[-1]
    digest = HashType(alg=HashAlgorithm.SHA_256, content=wheel["hashes"]["sha256"])
    return ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(name), hashes=[digest])
