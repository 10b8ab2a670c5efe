"""Published weights of CIFAR ResNets: fetched, recognised and converted, nothing of them ever executed."""

from cnnlab.deploy.pretrained.known import KNOWN, fetch_weights
from cnnlab.deploy.pretrained.resnets import Imported, import_weights

__all__ = ["KNOWN", "Imported", "fetch_weights", "import_weights"]
