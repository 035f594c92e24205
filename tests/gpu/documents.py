"""nvidia-smi documents of each DTD generation, of our own making, in the documented form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What a test wants to say of one GPU; `extra` goes into its element as it is."""

    bus: str = "00000000:3B:00.0"
    model: str = "NVIDIA A100-SXM4-80GB"
    uuid: str = "GPU-11111111-2222-3333-4444-555555555555"
    memory: str = "81920 MiB"
    ecc_uncorrected: int = 0
    remapping: str = "No"
    extra: str = ""


def smi(
    *cards: Card, dtd: int = 12, driver: str = "535.104.05", cuda: str = "12.2", attached: int | None = None
) -> bytes:
    """Write the document that a driver of that DTD generation would."""
    doctype = "" if dtd == 9 else f'<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v{dtd}.dtd">\n'
    body = "".join(_GENERATIONS[dtd](card) for card in cards)
    return (
        f'<?xml version="1.0" ?>\n{doctype}<nvidia_smi_log>\n\t<timestamp>Mon Jan  5 10:00:00 2026</timestamp>\n'
        f"\t<driver_version>{driver}</driver_version>\n\t<cuda_version>{cuda}</cuda_version>\n"
        f"\t<attached_gpus>{len(cards) if attached is None else attached}</attached_gpus>\n{body}</nvidia_smi_log>\n"
    ).encode()


def _v9(card: Card) -> str:
    return _gpu(
        card,
        f"""
        <ecc_mode><current_ecc>Enabled</current_ecc><pending_ecc>Enabled</pending_ecc></ecc_mode>
        <ecc_errors><volatile>
          <single_bit><device_memory>3</device_memory><register_file>0</register_file><total>3</total></single_bit>
          <double_bit><device_memory>{card.ecc_uncorrected}</device_memory><total>{card.ecc_uncorrected}</total></double_bit>
        </volatile><aggregate>
          <single_bit><total>N/A</total></single_bit><double_bit><total>N/A</total></double_bit>
        </aggregate></ecc_errors>
        <clocks_throttle_reasons>
          <clocks_throttle_reason_hw_thermal_slowdown>Active</clocks_throttle_reason_hw_thermal_slowdown>
        </clocks_throttle_reasons>
        <power_readings><power_draw>26.78 W</power_draw>
          <enforced_power_limit>70.00 W</enforced_power_limit></power_readings>
        """,
    )


def _v11(card: Card) -> str:
    return _gpu(
        card,
        f"""
        <mig_mode><current_mig>Enabled</current_mig><pending_mig>Disabled</pending_mig></mig_mode>
        <mig_devices>
          <mig_device><index>0</index><gpu_instance_id>1</gpu_instance_id></mig_device>
          <mig_device><index>1</index><gpu_instance_id>5</gpu_instance_id></mig_device>
        </mig_devices>
        <ecc_errors><volatile>
          <sram_correctable>1</sram_correctable><sram_uncorrectable>0</sram_uncorrectable>
          <dram_correctable>2</dram_correctable><dram_uncorrectable>{card.ecc_uncorrected}</dram_uncorrectable>
        </volatile></ecc_errors>
        <remapped_rows><remapped_row_corr>1</remapped_row_corr><remapped_row_unc>2</remapped_row_unc>
          <remapped_row_pending>{card.remapping}</remapped_row_pending>
          <remapped_row_failure>No</remapped_row_failure></remapped_rows>
        <clocks_throttle_reasons>
          <clocks_throttle_reason_gpu_idle>Active</clocks_throttle_reason_gpu_idle>
          <clocks_throttle_reason_hw_thermal_slowdown>Active</clocks_throttle_reason_hw_thermal_slowdown>
          <clocks_throttle_reason_sw_power_cap>Not Active</clocks_throttle_reason_sw_power_cap>
        </clocks_throttle_reasons>
        <power_readings><power_draw>26.78 W</power_draw>
          <enforced_power_limit>70.00 W</enforced_power_limit></power_readings>
        """,
    )


def _v12(card: Card) -> str:
    return _gpu(
        card,
        f"""
        <persistence_mode>Enabled</persistence_mode>
        <mig_mode><current_mig>N/A</current_mig><pending_mig>N/A</pending_mig></mig_mode>
        <mig_devices>
            None
        </mig_devices>
        <gpu_reset_status><reset_required>No</reset_required>
          <drain_and_reset_recommended>No</drain_and_reset_recommended></gpu_reset_status>
        <ecc_mode><current_ecc>Enabled</current_ecc><pending_ecc>Enabled</pending_ecc></ecc_mode>
        <ecc_errors><volatile>
          <sram_uncorrectable>0</sram_uncorrectable><dram_uncorrectable>{card.ecc_uncorrected}</dram_uncorrectable>
        </volatile></ecc_errors>
        <remapped_rows><remapped_row_corr>0</remapped_row_corr><remapped_row_unc>0</remapped_row_unc>
          <remapped_row_pending>{card.remapping}</remapped_row_pending></remapped_rows>
        <clocks_event_reasons>
          <clocks_event_reason_hw_thermal_slowdown>Active</clocks_event_reason_hw_thermal_slowdown>
        </clocks_event_reasons>
        <gpu_power_readings><power_draw>26.78 W</power_draw><current_power_limit>70.00 W</current_power_limit>
        </gpu_power_readings>
        """,
    )


def _v13(card: Card) -> str:
    return _gpu(
        card,
        f"""
        <persistence_mode>Enabled</persistence_mode>
        <display_mode>Requested functionality has been deprecated</display_mode>
        <gpu_recovery_action>None</gpu_recovery_action>
        <ecc_errors><volatile>
          <sram_uncorrectable_parity>0</sram_uncorrectable_parity>
          <sram_uncorrectable_secded>0</sram_uncorrectable_secded>
          <dram_uncorrectable>{card.ecc_uncorrected}</dram_uncorrectable>
        </volatile></ecc_errors>
        <clocks_event_reasons>
          <clocks_event_reason_hw_thermal_slowdown>Active</clocks_event_reason_hw_thermal_slowdown>
        </clocks_event_reasons>
        <gpu_power_readings>
          <power_state>Requested functionality has been deprecated</power_state>
          <average_power_draw>N/A</average_power_draw><instant_power_draw>26.78 W</instant_power_draw>
          <current_power_limit>70.00 W</current_power_limit>
        </gpu_power_readings>
        <fabric><state>N/A</state></fabric>
        """,
    )


_GENERATIONS = {9: _v9, 10: _v9, 11: _v11, 12: _v12, 13: _v13}


def healthy(*cards: Card, driver: str = "535.104.05", cuda: str = "12.2", attached: int | None = None) -> bytes:
    """Write a v12 document in which nothing is slowed down."""
    return smi(*cards, driver=driver, cuda=cuda, attached=attached).replace(
        b"slowdown>Active<", b"slowdown>Not Active<"
    )


def _gpu(card: Card, generation: str) -> str:
    return f"""
      <gpu id="{card.bus}">
        <product_name>{card.model}</product_name>
        <product_brand>NVIDIA</product_brand>
        <uuid>{card.uuid}</uuid>
        <serial>[N/A]</serial>
        <vbios_version>Unknown Error</vbios_version>
        <pci><pci_bus_id>{card.bus}</pci_bus_id><pci_gpu_link_info>
          <pcie_gen><max_link_gen>4</max_link_gen><current_link_gen>1</current_link_gen></pcie_gen>
          <link_widths><max_link_width>16x</max_link_width><current_link_width>16x</current_link_width></link_widths>
        </pci_gpu_link_info></pci>
        <fb_memory_usage><total>{card.memory}</total><used>42 MiB</used></fb_memory_usage>
        <compute_mode>Default</compute_mode>
        <utilization><gpu_util>7 %</gpu_util></utilization>
        <temperature><gpu_temp>39 C</gpu_temp></temperature>
        {generation}
        <processes><process_info><pid>4937</pid><type>C</type>
          <process_name>/usr/bin/python --token=hunter2</process_name><used_memory>160 MiB</used_memory>
        </process_info></processes>
        {card.extra}
      </gpu>
"""
