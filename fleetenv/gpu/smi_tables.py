"""Where nvidia-smi's XML has what is told as it is: name in our documents -> path below `<gpu>`."""

from __future__ import annotations

from collections.abc import Mapping

from fleetenv.gpu.values import Path

BOARD: Mapping[str, Path] = {
    "brand": ("product_brand",),
    "part_number": ("gpu_part_number",),
    "board_part_number": ("board_part_number",),
    "fru_part_number": ("gpu_fru_part_number",),
    "board_id": ("board_id",),
    "multigpu": ("multigpu_board",),
    "minor_number": ("minor_number",),
    "pdi": ("pdi",),
    "module_id": ("gpu_module_id",),
    "platform_module_id": ("platformInfo", "module_id"),
    "chassis_serial": ("platformInfo", "chassis_serial_number"),
    "slot": ("platformInfo", "slot_number"),
    "tray": ("platformInfo", "tray_index"),
    "host_id": ("platformInfo", "host_id"),
    "peer_type": ("platformInfo", "peer_type"),
    "fabric_guid": ("platformInfo", "gpu_fabric_guid"),
    "pci_device": ("pci", "pci_device_id"),
    "pci_subsystem": ("pci", "pci_sub_system_id"),
    "pci_base_class": ("pci", "pci_base_class"),
    "pci_sub_class": ("pci", "pci_sub_class"),
    "bridge_chip": ("pci", "pci_bridge_chip", "bridge_chip_type"),
}

FIRMWARE: Mapping[str, Path] = {
    "gsp": ("gsp_firmware_version",),
    "inforom_image": ("inforom_version", "img_version"),
    "inforom_oem": ("inforom_version", "oem_object"),
    "inforom_ecc": ("inforom_version", "ecc_object"),
    "inforom_power": ("inforom_version", "pwr_object"),
    "bridge_chip": ("pci", "pci_bridge_chip", "bridge_chip_fw"),
}

MODES: Mapping[str, Path] = {
    "accounting": ("accounting_mode",),
    "accounting_buffer": ("accounting_mode_buffer_size",),
    "addressing": ("addressing_mode",),
    "auto_boost": ("clock_policy", "auto_boost"),
    "auto_boost_default": ("clock_policy", "auto_boost_default"),
    "atomics_outbound": ("pci", "atomic_caps_outbound"),
    "atomics_inbound": ("pci", "atomic_caps_inbound"),
    "c2c": ("c2c_mode",),
    "display": ("display_mode",),
    "display_active": ("display_active",),
    "display_attached": ("display_attached",),
    "dram_encryption": ("dram_encryption_mode", "current_dram_encryption"),
    "dram_encryption_after_reset": ("dram_encryption_mode", "pending_dram_encryption"),
    "driver_model": ("driver_model", "current_dm"),
    "driver_model_after_reset": ("driver_model", "pending_dm"),
    "edpp_multiplier": ("edpp_multiplier",),
    "egm": ("capabilities", "egm"),
    "operation": ("gpu_operation_mode", "current_gom"),
    "operation_after_reset": ("gpu_operation_mode", "pending_gom"),
    "relaxed_ordering": ("ibmnpu", "relaxed_ordering_mode"),
    "sparse_operation": ("sparse_operation_mode",),
    "virtualization": ("gpu_virtualization_mode", "virtualization_mode"),
    "vgpu_host": ("gpu_virtualization_mode", "host_vgpu_mode"),
    "vgpu_heterogeneous": ("gpu_virtualization_mode", "vgpu_heterogeneous_mode"),
}

MEMORY_USE: Mapping[str, Path] = {
    "free": ("fb_memory_usage", "free"),
    "reserved": ("fb_memory_usage", "reserved"),
    "bar1_total": ("bar1_memory_usage", "total"),
    "bar1_used": ("bar1_memory_usage", "used"),
    "bar1_free": ("bar1_memory_usage", "free"),
    "protected_total": ("cc_protected_memory_usage", "total"),
    "protected_used": ("cc_protected_memory_usage", "used"),
    "protected_free": ("cc_protected_memory_usage", "free"),
}

USAGE: Mapping[str, Path] = {
    "memory": ("utilization", "memory_util"),
    "encoder": ("utilization", "encoder_util"),
    "decoder": ("utilization", "decoder_util"),
    "jpeg": ("utilization", "jpeg_util"),
    "ofa": ("utilization", "ofa_util"),
    "fan": ("fan_speed",),
}

CLOCKS: Mapping[str, Path] = {
    "graphics": ("clocks", "graphics_clock"),
    "sm": ("clocks", "sm_clock"),
    "memory": ("clocks", "mem_clock"),
    "video": ("clocks", "video_clock"),
    "max_graphics": ("max_clocks", "graphics_clock"),
    "max_sm": ("max_clocks", "sm_clock"),
    "max_memory": ("max_clocks", "mem_clock"),
    "max_video": ("max_clocks", "video_clock"),
    "max_boost": ("max_customer_boost_clocks", "graphics_clock"),
    "application_graphics": ("applications_clocks", "graphics_clock"),
    "application_memory": ("applications_clocks", "mem_clock"),
    "default_application_graphics": ("default_applications_clocks", "graphics_clock"),
    "default_application_memory": ("default_applications_clocks", "mem_clock"),
    "deferred_memory": ("deferred_clocks", "mem_clock"),
}
