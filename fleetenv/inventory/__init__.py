"""The inventory: which hosts there are, their groups, and the variables that files beside them give.

```python
from fleetenv import inventory

lab = inventory.load(["inventories/lab"], playbook_folder=Path("playbooks"))
for host in lab.select("a100:!broken", limit="gpu0*"):
    print(host.name, lab.variables(host.name).get("ansible_host"))
```
"""

from fleetenv.inventory.inventory import Inventory
from fleetenv.inventory.model import Group, Host
from fleetenv.inventory.sources import load

__all__ = ["Group", "Host", "Inventory", "load"]
