"""Dataset contract -> place -> delivery, and search: what data there is, and what one person may have of it."""

from jupyter_guardrails.catalog.contracts import load_catalog
from jupyter_guardrails.catalog.folder import CatalogFolder
from jupyter_guardrails.catalog.model import Catalog, Column, Contract

__all__ = ["Catalog", "CatalogFolder", "Column", "Contract", "load_catalog"]
