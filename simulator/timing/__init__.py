"""When things happen: per-engine queues, address interlocks, SRAM banks, DRAM rows and refresh. docs/timing.md."""

from simulator.timing.model import TimingModel

__all__ = ["TimingModel"]
