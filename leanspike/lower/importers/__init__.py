"""Models of other frameworks become networks of ours with the same spikes, or are refused with the reason."""

from leanspike.lower.importers.agreement import LayerAgreement, verify_import
from leanspike.lower.importers.nir import from_nir
from leanspike.lower.importers.norse import from_norse
from leanspike.lower.importers.snntorch import from_snntorch
from leanspike.lower.importers.spikingjelly import from_spikingjelly

__all__ = ["LayerAgreement", "from_nir", "from_norse", "from_snntorch", "from_spikingjelly", "verify_import"]
