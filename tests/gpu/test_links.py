from fleetenv.gpu.links import with_links, with_mig_names
from fleetenv.gpu.smi import parse_smi

from .documents import Card, smi

STATES = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)
         Link 0: 26.562 GB/s
         Link 1: <inactive>
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-2)
         Link 0: 26.562 GB/s
""".splitlines()
ERRORS = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)
         Link 0: Replay Errors: 0
         Link 0: Recovery Errors: 0
         Link 0: CRC Errors: 7

GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-2)
         Link 0: Tx packets: 8123
         Link 0: Malformed packet Errors: 0
         Link 0: Tx discards: 2
         Link 0: Link recovery failed events: 1
         Link 0: FEC Errors - 0: 36140700000
         Link 0: Effective Errors: 0
         Link 0: Effective BER: 15e-255
""".splitlines()
LISTING = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-1)
  MIG 3g.40gb     Device  0: (UUID: MIG-c788539f-c1ea-5a36-8b4d-9b07d024b1bb)
  MIG 1c.3g.40gb  Device  1: (UUID: MIG-405bbda1-6b05-535f-9702-f95e8cd170ce)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-2)
""".splitlines()


def test_links_have_state_speed_and_errors():
    first, second = with_links(parse_smi(smi(Card(), Card())).gpus, STATES, ERRORS)
    assert [(link.index, link.active, link.speed) for link in first.nvlinks] == [(0, True, 26.562), (1, False, None)]
    assert first.nvlinks[0].errors == {"Replay": 0, "Recovery": 0, "CRC": 7}
    assert second.nvlinks[0].errors == {
        "Malformed packet": 0,
        "Tx discards": 2,
        "Link recovery failed events": 1,
        "Effective": 0,
    }


def test_gpus_without_links_stay_as_they_are():
    gpus = parse_smi(smi(Card())).gpus
    assert with_links(gpus, ["Link 0: 1 GB/s", "nonsense"], ["GPU 9: x", "  Link 0: CRC Errors: 1"]) == gpus


def test_mig_devices_are_named():
    gpus = with_mig_names(parse_smi(smi(Card(), Card(), dtd=11)).gpus, LISTING)
    assert [device.profile for device in gpus[0].mig_layout] == ["3g.40gb", "1c.3g.40gb"]
    assert gpus[0].mig_layout[0].uuid == "MIG-c788539f-c1ea-5a36-8b4d-9b07d024b1bb"
    assert gpus[1].mig_layout[0].profile is None
