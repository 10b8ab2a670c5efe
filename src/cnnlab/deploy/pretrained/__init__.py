"""Published weights of CIFAR ResNets: downloaded, recognised and converted; nothing in them is executed."""

from cnnlab.deploy.pretrained.known import KNOWN, fetch_weights
from cnnlab.deploy.pretrained.resnets import Imported, import_weights

__all__ = ["KNOWN", "Imported", "fetch_weights", "import_weights"]
